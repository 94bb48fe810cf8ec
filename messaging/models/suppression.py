from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Application
from core.masking import mask_addresses
from core.vocabulary import Channel as ChannelChoices


class Suppression(models.Model):
    """A recipient that must not be written to: by one application, or without one by nobody.

    One row for each; what became known first stays, until it expires or somebody removes it.
    """

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", _("hard bounce")
        COMPLAINT = "complaint", _("complaint")
        UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
        MANUAL = "manual", _("added by hand")

    channel = models.CharField(
        _("channel"), max_length=20, choices=ChannelChoices, default=ChannelChoices.EMAIL
    )
    # In lower case.
    address = models.CharField(_("address"), max_length=254)
    application = models.ForeignKey(
        Application,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("application"),
        help_text=_("Whose mail it does not get. Empty: nobody's."),
    )
    reason = models.CharField(
        _("reason"), max_length=12, choices=Reason, default=Reason.MANUAL, db_default=Reason.MANUAL
    )
    note = models.CharField(_("note"), max_length=200, blank=True)
    # Who or what it comes from: `api`, `import`, an operator, or the sender that reported it.
    source = models.CharField(_("source"), max_length=100, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    expires_at = models.DateTimeField(
        _("expires at"), null=True, blank=True, help_text=_("Empty: never.")
    )

    class Meta:
        verbose_name = _("suppressed recipient")
        verbose_name_plural = _("suppressed recipients")
        ordering = ["-pk"]
        constraints = [
            # They also serve the look-ups before every acceptance and every hand-over, and begin
            # with the address: a plan that was made while the table was empty stays good.
            models.UniqueConstraint(
                name="suppression_stands_once_for_an_application",
                fields=["address", "channel", "application"],
            ),
            models.UniqueConstraint(
                name="suppression_stands_once_for_all",
                fields=["address", "channel"],
                condition=Q(application__isnull=True),
            ),
            models.CheckConstraint(
                name="suppression_address_is_in_lower_case",
                condition=Q(address=Lower("address")) & ~Q(address=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{mask_addresses(self.address)} ({self.get_reason_display()})"
