from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from messaging.models.sender import Sender


class SenderMove(models.Model):
    """One change of what a sender does: its breaker opened or closed, or an operator switched it.

    The sender's row keeps only the present. A sender that works writes none of these.
    """

    class State(models.TextChoices):
        WORKING = "working", _("working")
        BENCHED = "benched", _("benched")
        BEING_TRIED = "being_tried", _("being tried")
        RECOVERING = "recovering", _("recovering")
        SWITCHED_OFF = "switched_off", _("switched off")

    class Why(models.TextChoices):
        """Of moves that no failure made."""

        SUCCESS = "success", _("it works again")
        OPERATOR = "operator", _("by an operator or a test")

    sender = models.ForeignKey(
        Sender,
        on_delete=models.CASCADE,
        related_name="moves",
        db_index=False,
        verbose_name=_("sender"),
    )
    at = models.DateTimeField(_("at"))
    from_state = models.CharField(_("from"), max_length=12, choices=State)
    to_state = models.CharField(_("to"), max_length=12, choices=State)
    # Our word for the failure (`credentials`, …), or one of `Why`; with the provider's own words.
    why = models.CharField(_("why"), max_length=30)
    words = models.CharField(_("provider's words"), max_length=500, blank=True)
    # Of a bench: when its rest ends.
    until = models.DateTimeField(_("until"), null=True)

    class Meta:
        verbose_name = _("change of a sender")
        verbose_name_plural = _("changes of senders")
        indexes = [models.Index(name="sender_move_of_sender", fields=["sender", "at"])]

    def __str__(self) -> str:
        return gettext("%(before)s to %(after)s at %(time)s") % {
            "before": self.get_from_state_display(),
            "after": self.get_to_state_display(),
            "time": f"{self.at:%Y-%m-%d %H:%M}",
        }
