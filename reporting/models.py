"""Messages counted by the UTC hour in which they were accepted. Every row is made anew from the
messages themselves (`reporting.rollups`); nothing here is ever incremented."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Application
from core.vocabulary import Channel
from messaging.metrics import LATENCY_BOUNDS
from messaging.models import Feedback, Reason, Sender, Status
from templates_app.models import Template

# How long messages took, in as many columns as there are bounds, and one for what took longer.
LATENCY_COLUMNS = tuple(f"took_{number}" for number in range(len(LATENCY_BOUNDS) + 1))
MEASURES = ("accepted", *Status.values, *Feedback.values, "latency_ms", *LATENCY_COLUMNS)


class Dimension(models.TextChoices):
    """What tells messages apart. The names are public API."""

    CHANNEL = "channel", _("channel")
    APPLICATION = "application", _("application")
    TEMPLATE = "template", _("template")
    SENDER = "sender", _("sender")
    REASON = "reason", _("reason")


def _reference(to: type[models.Model], words: Any, **options: Any) -> Any:
    """Without a constraint: what was counted stays true when what it names is gone."""
    return models.ForeignKey(
        to,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        verbose_name=words,
        **options,
    )


class Hour(models.Model):
    """An hour, and whether its messages have changed since they were counted."""

    began_at = models.DateTimeField(_("hour"), primary_key=True)
    dirty_since = models.DateTimeField(_("changed since"), null=True)
    counted_at = models.DateTimeField(_("counted at"), null=True)
    # What the counting itself took the last time.
    took_ms = models.PositiveIntegerField(_("milliseconds"), default=0, db_default=0)

    class Meta:
        verbose_name = _("counted hour")
        verbose_name_plural = _("counted hours")
        indexes = [
            # Serves every look for what is to be counted again.
            models.Index(
                name="hour_to_count",
                fields=["began_at"],
                condition=models.Q(dirty_since__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.began_at:%Y-%m-%d %H:%M}"


class Progress(models.Model):
    """The one row that says how far the look for changes has come.

    Ids are given before they are committed. The look therefore begins at `…_from`, which is the
    newest id of some minutes ago, and not where the last one ended.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    # Attempts of before have been seen.
    looked_at = models.DateTimeField()
    event_from = models.BigIntegerField()
    event_next = models.BigIntegerField()
    feedback_from = models.BigIntegerField()
    feedback_next = models.BigIntegerField()
    # When `…_next` became `…_from`.
    turned_at = models.DateTimeField()
    # What was accepted before is in the statistics, as it stood then.
    updated_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("progress of the statistics")
        verbose_name_plural = _("progress of the statistics")
        constraints = [
            models.CheckConstraint(name="progress_is_one_row", condition=models.Q(id=1)),
        ]

    def __str__(self) -> str:
        return f"{self.looked_at:%Y-%m-%d %H:%M:%S}"


class Counts(models.Model):
    """Messages of an hour that have something in common. `success`, `bounced`, … are how many of
    `accepted` have that status or feedback now."""

    hour = models.DateTimeField(_("hour"))
    is_test = models.BooleanField(_("test"))

    accepted = models.PositiveIntegerField(_("accepted"))
    # Of those that went well: until the provider's yes.
    latency_ms = models.BigIntegerField(_("milliseconds altogether"))

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.accepted} in {self.hour:%Y-%m-%d %H:%M}"


for _name in (*Status.values, *Feedback.values, *LATENCY_COLUMNS):
    Counts.add_to_class(_name, models.PositiveIntegerField())


class HourlyCount(Counts):
    """All messages of the hour once for each dimension, told apart by it alone: few rows, of which
    every question is answered that is about one dimension or none."""

    dimension = models.CharField(_("dimension"), max_length=11, choices=Dimension)
    # As text: an id, a channel, a reason; empty where a message has none.
    value = models.CharField(_("value"), max_length=20, blank=True)

    class Meta:
        verbose_name = _("hourly count")
        verbose_name_plural = _("hourly counts")
        indexes = [
            # With what most questions are about, so that the wide rows are left alone.
            models.Index(
                name="hourly_count_by_hour",
                fields=["dimension", "hour"],
                include=["is_test", "value", "accepted", "success", "failed"],
            ),
        ]


class HourlyDetail(Counts):
    """The messages told apart by all dimensions at once, for whatever is about several."""

    application = _reference(Application, _("application"))
    channel = models.CharField(_("channel"), max_length=20, choices=Channel)
    template = _reference(Template, _("template"), null=True)
    sender = _reference(Sender, _("sender"), null=True)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason, blank=True)

    class Meta:
        verbose_name = _("hourly detail")
        verbose_name_plural = _("hourly details")
        indexes = [
            models.Index(name="hourly_detail_by_hour", fields=["hour"]),
            # Serves the API, where everybody asks for its own.
            models.Index(name="hourly_detail_of_application", fields=["application", "hour"]),
        ]


class Worker(models.Model):
    """A process that sends, and when it showed itself last. The row goes with an orderly stop."""

    # Celery's, one of its kind.
    name = models.CharField(_("name"), max_length=200, primary_key=True)
    processes = models.PositiveIntegerField(_("processes"))
    seen_at = models.DateTimeField(_("seen at"))

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name
