"""Who did what. Written by `accounts.audit` only, and by nobody a second time."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models.access import ApiKey
from accounts.models.operator import User


class Action(models.TextChoices):
    """What is done here. Not part of the column: a new word needs no migration."""

    ADDED = "added", _("added")
    CHANGED = "changed", _("changed")
    DELETED = "deleted", _("deleted")
    ROTATED = "rotated", _("rotated")
    REVOKED = "revoked", _("revoked")
    PAUSED = "paused", _("paused")
    RESUMED = "resumed", _("resumed")
    RESET = "reset", _("reset")
    TESTED = "tested", _("tested")
    SWITCHED_ON = "switched_on", _("switched on")
    SWITCHED_OFF = "switched_off", _("switched off")
    DRAFTED = "drafted", _("drafted")
    DISCARDED = "discarded", _("discarded")
    PUBLISHED = "published", _("published")
    ROLLED_BACK = "rolled_back", _("rolled back")
    ARCHIVED = "archived", _("archived")
    RESTORED = "restored", _("restored")
    RESENT = "resent", _("sent again")
    CANCELLED = "cancelled", _("cancelled")
    MOVED = "moved", _("moved to another lane")
    RELEASED = "released", _("released")
    REPLAYED = "replayed", _("called again")
    IMPORTED = "imported", _("imported")
    EXPORTED = "exported", _("exported")
    DOWNLOADED = "downloaded", _("downloaded")
    LOGGED_IN = "logged_in", _("logged in")
    LOGGED_OUT = "logged_out", _("logged out")
    LOGIN_FAILED = "login_failed", _("failed to log in")
    CODE_REFUSED = "code_refused", _("gave a wrong code")
    LOCKED_OUT = "locked_out", _("locked out")
    LET_IN = "let_in", _("let in again")
    PASSWORD_CHANGED = "password_changed", _("changed the password")
    SECOND_FACTOR_SET_UP = "second_factor_set_up", _("set up a second factor")
    SECOND_FACTOR_REMOVED = "second_factor_removed", _("removed the second factor")


class AuditEntry(models.Model):
    """One deed. A trigger refuses to change or delete it, whoever asks."""

    class By(models.TextChoices):
        OPERATOR = "operator", _("operator")
        API_KEY = "api_key", _("API key")
        COMMAND = "command", _("command line")

    at = models.DateTimeField(_("at"), db_default=Now(), editable=False)
    by = models.CharField(_("by"), max_length=10, choices=By)
    operator = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("operator")
    )
    api_key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("API key")
    )
    # As it was called then: a username, a key's id, a user of the machine.
    actor = models.CharField(_("who"), max_length=150)
    action = models.CharField(_("action"), max_length=30)
    # `messaging.sender`, or empty.
    object_type = models.CharField(_("kind of object"), max_length=100, blank=True)
    object_id = models.CharField(_("object id"), max_length=64, blank=True)
    # As it was called then.
    object_label = models.CharField(_("object"), max_length=200, blank=True)
    # Names of fields, numbers, versions. Never secrets, addresses or contents.
    details = models.JSONField(_("details"), default=dict)
    request_id = models.CharField(_("request id"), max_length=64, blank=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        constraints = [
            models.CheckConstraint(
                name="audit_entry_of_an_api_key_names_it",
                condition=Q(by="api_key") ^ Q(api_key=None),
            ),
        ]
        indexes = [
            # What the audit log is filtered by, newest first.
            models.Index(name="audit_of_object", fields=["object_type", "object_id", "-id"]),
            models.Index(name="audit_of_actor", fields=["actor", "-id"]),
            models.Index(name="audit_of_operator", fields=["operator", "-id"]),
            models.Index(name="audit_of_action", fields=["action", "-id"]),
            models.Index(name="audit_of_time", fields=["at"]),
        ]

    def __str__(self) -> str:
        action = Action(self.action).label if self.action in Action.values else self.action
        return f"{self.actor} {action} {self.object_label}".rstrip()
