from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from core.ids import uuid7
from core.vocabulary import Lane


class Job(models.Model):
    """What an operator asked to be done to many messages, and how far it is.

    Each slice of it is one transaction, in which the messages, the counts and the position move
    together. `lease_token` rises with every claim: who holds an older one does nothing any more.
    """

    class Kind(models.TextChoices):
        RESEND = "resend", _("send again")
        CANCEL = "cancel", _("cancel")
        MOVE = "move", _("move to another lane")
        RELEASE = "release", _("release")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        STOPPED = "stopped", _("stopped")
        FAILED = "failed", _("failed")

    OPEN = (State.WAITING, State.RUNNING)

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(_("kind"), max_length=7, choices=Kind)
    # Which messages: those under `filters`, the parameters of the list; or those of `ids`, of which
    # the filters were looked at already. Of what no index knows, only those after `newer_than`.
    filters = models.JSONField(_("filters"), default=dict, blank=True)
    ids = models.JSONField(_("ids"), null=True)
    newer_than = models.UUIDField(_("newer than"), null=True)
    # Whoever asked has not seen what came later: it is not part of the job.
    asked_at = models.DateTimeField(_("asked at"))
    to_lane = models.CharField(_("to the lane"), max_length=6, choices=Lane, blank=True)
    may_duplicate = models.BooleanField(_("also what may have arrived"), default=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        related_name="+",
        verbose_name=_("operator"),
    )

    state = models.CharField(_("state"), max_length=7, choices=State, default=State.WAITING)
    # Counted up to 100,000 when it was asked for; 100,001 says that there are more.
    matched = models.PositiveIntegerField(_("matched"))
    done = models.PositiveIntegerField(_("done"), default=0)
    # How many were passed over, by what they are instead: {"success": 2, "held": 1}.
    passed = models.JSONField(_("passed over"), default=dict, blank=True)
    position = models.UUIDField(_("position"), null=True)
    error = models.CharField(_("what is wrong"), max_length=300, blank=True)

    created_at = models.DateTimeField(_("created at"), db_default=Now())
    started_at = models.DateTimeField(_("started at"), null=True)
    heartbeat_at = models.DateTimeField(_("last sign of life"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    leased_until = models.DateTimeField(_("leased until"), db_default=Now())
    lease_token = models.PositiveIntegerField(_("lease token"), default=0)
    # Runs since the last progress that failed, or that found only what others held.
    vain_runs = models.PositiveSmallIntegerField(_("runs in vain"), default=0)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        constraints = [
            models.CheckConstraint(
                name="job_moves_to_a_lane_or_does_something_else",
                condition=Q(kind="move", to_lane__in=Lane.values)
                | (~Q(kind="move") & Q(to_lane="")),
            ),
            models.CheckConstraint(
                name="job_is_finished_when_its_state_is_final",
                condition=Q(state__in=["waiting", "running"], finished_at__isnull=True)
                | Q(state__in=["done", "stopped", "failed"], finished_at__isnull=False),
            ),
            models.CheckConstraint(
                name="job_that_failed_says_why", condition=~Q(state="failed") | ~Q(error="")
            ),
        ]
        indexes = [
            # Serves the workers, and the sweep for jobs whose worker was lost.
            models.Index(
                name="job_open",
                fields=["leased_until"],
                condition=Q(state__in=["waiting", "running"]),
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def seen(self) -> int:
        return int(self.done + sum(self.passed.values()))

    @property
    def is_over(self) -> bool:
        return self.state not in self.OPEN
