from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from messaging.models.limits import SenderGroup
from messaging.models.sender import Sender


class SenderWindow(models.Model):
    """How much of a limit is used. A row per window of a sender or of a group, moved on when a new
    window begins: right under concurrency, and right when every cache was flushed.

    One table for both, so that one statement locks all rows of a reservation in one order.
    """

    class Window(models.TextChoices):
        MINUTE = "minute", _("minute")
        HOUR = "hour", _("hour")
        DAY = "day", _("day")

    sender = models.ForeignKey(
        Sender,
        on_delete=models.CASCADE,
        related_name="windows",
        db_index=False,
        null=True,
        verbose_name=_("sender"),
    )
    group = models.ForeignKey(
        SenderGroup,
        on_delete=models.CASCADE,
        related_name="windows",
        db_index=False,
        null=True,
        verbose_name=pgettext_lazy("of senders", "group"),
    )
    window = models.CharField(_("window"), max_length=6, choices=Window)
    started_at = models.DateTimeField(_("started at"))
    used = models.PositiveIntegerField(_("used"), default=0)

    class Meta:
        verbose_name = _("used quota")
        verbose_name_plural = _("used quotas")
        constraints = [
            models.UniqueConstraint(
                fields=["sender", "window"], name="sender_has_one_row_per_window"
            ),
            models.UniqueConstraint(
                fields=["group", "window"], name="sender_group_has_one_row_per_window"
            ),
            models.CheckConstraint(
                name="sender_window_is_of_a_sender_or_of_a_group",
                condition=Q(sender__isnull=True, group__isnull=False)
                | Q(sender__isnull=False, group__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return gettext("%(used)s in the %(window)s from %(time)s") % {
            "used": self.used,
            "window": self.get_window_display(),
            "time": f"{self.started_at:%Y-%m-%d %H:%M}",
        }
