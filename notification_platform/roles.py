"""Who may do what: the groups that every installation begins with.

`docs/roles.md` shows this table, and a test holds both against each other and against the pages.
What a later version adds to it is handed out by a migration of its own that calls `give` with just
that: what operators have changed in these groups meanwhile stays.
"""

from collections.abc import Collection
from typing import Any

from django.apps import apps as installed
from django.contrib.auth.management import create_permissions

VIEWER = frozenset(
    {
        *("messaging.view_message", "messaging.view_otherrecipient", "messaging.view_batch"),
        *("messaging.view_attempt", "messaging.view_event", "messaging.view_job"),
        *("messaging.view_attachment", "messaging.view_messageattachment"),
        *("messaging.view_providerreport", "messaging.view_feedbackevent"),
        *("messaging.view_suppression",),
        *("messaging.view_sender", "messaging.view_sendergroup"),
        *("messaging.view_senderwindow", "messaging.view_sendermove"),
        *("messaging.view_webhookendpoint", "messaging.view_webhookdelivery"),
        *("templates_app.view_template", "templates_app.view_templateversion"),
    }
)
TEMPLATE_EDITOR = VIEWER | {
    *("templates_app.add_template", "templates_app.change_template"),
    *("templates_app.add_templateversion", "templates_app.change_templateversion"),
    "templates_app.publish_templateversion",
}
OPERATOR = VIEWER | {
    "messaging.see_contents",
    "messaging.change_message",
    "messaging.download_attachment",
    "messaging.operate_sender",
    *("messaging.add_suppression", "messaging.delete_suppression"),
    "messaging.change_webhookendpoint",
    "accounts.view_application",
}
ADMINISTRATOR = (
    TEMPLATE_EDITOR
    | OPERATOR
    | {
        *("messaging.add_sender", "messaging.change_sender", "messaging.view_senderhook"),
        *("messaging.add_sendergroup", "messaging.change_sendergroup"),
        "messaging.delete_sendergroup",
        "messaging.add_webhookendpoint",
        *("accounts.add_application", "accounts.change_application"),
        *("accounts.view_apikey", "accounts.add_apikey", "accounts.change_apikey"),
        *("accounts.view_user", "accounts.add_user", "accounts.change_user"),
        *("auth.view_group", "auth.add_group", "auth.change_group", "auth.delete_group"),
        *("axes.view_accessattempt", "axes.delete_accessattempt"),
        "accounts.view_auditentry",
    }
)
ROLES: dict[str, frozenset[str]] = {
    "Viewer": VIEWER,
    "Template editor": TEMPLATE_EDITOR,
    "Operator": OPERATOR,
    "Administrator": ADMINISTRATOR,
}
APPS = ("auth", "accounts", "templates_app", "messaging", "axes")


def give(apps: Any, permissions: Collection[str] | None = None) -> None:
    """For a migration: make the groups that are missing, with all rights of their role. With
    `permissions`, give just these to those of the groups whose role has them.

    A right that the migration does not know, because its model comes later, is left to the
    migration that comes with it.
    """
    Group = apps.get_model("auth", "Group")
    rows = _permissions(apps)
    for role, theirs in ROLES.items():
        group, is_new = Group.objects.get_or_create(name=role)
        if permissions is not None:
            group.permissions.add(*(rows[name] for name in theirs & set(permissions)))
        elif is_new:
            group.permissions.set(rows[name] for name in theirs if name in rows)


def take_away(apps: Any) -> None:
    """The way back: the groups go, and with them what they gave."""
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


def _permissions(apps: Any) -> dict[str, Any]:
    """All there are. Django makes them after the last migration, which is too late here."""
    for label in APPS:
        create_permissions(installed.get_app_config(label), apps=apps, verbosity=0)
    rows = apps.get_model("auth", "Permission").objects.select_related("content_type")
    return {f"{row.content_type.app_label}.{row.codename}": row.pk for row in rows}
