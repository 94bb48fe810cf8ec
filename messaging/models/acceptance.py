"""What acceptance remembers for a while, so that nothing is taken twice."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import Application
from messaging.models.message import Message


class IdempotencyKey(models.Model):
    """An answer of the API by the key that the caller gave with its request.

    Written in the transaction that stored what the answer speaks of; kept for 72 hours.
    """

    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    # Keys of test keys are a world of their own.
    is_test = models.BooleanField()
    key = models.CharField(max_length=255)
    # SHA-256 of the path and the body.
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    # As it was sent: a replay is the same byte for byte.
    answer = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="idempotency_key_is_used_once", fields=["application", "is_test", "key"]
            ),
            models.CheckConstraint(
                name="idempotency_key_is_of_what_was_accepted",
                condition=Q(status__range=(200, 299)),
            ),
        ]
        indexes = [
            # Serves the clean-up.
            models.Index(name="idempotency_key_by_age", fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return f"Idempotency key {self.pk}"


class Fingerprint(models.Model):
    """What was accepted lately, so that the same again within its window is not sent again."""

    # SHA-256 of the application and of what makes two messages the same.
    digest = models.BinaryField(max_length=32, primary_key=True)
    # Without a constraint: it is written with the message, and the check costs a tenth of it.
    message = models.ForeignKey(
        Message, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            # Serves the clean-up.
            models.Index(name="fingerprint_by_end", fields=["expires_at"]),
        ]

    def __str__(self) -> str:
        return f"Fingerprint of {self.message_id}"
