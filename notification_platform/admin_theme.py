"""How the admin looks: its theme's settings, and the links at its side."""

from collections.abc import Callable

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _may_see(permission: str) -> Callable[[HttpRequest], bool]:
    """Links in the sidebar are shown to whom they do not end in a refusal."""
    return lambda request: request.user.has_perm(permission)


UNFOLD = {
    "SITE_TITLE": _("Notification platform"),
    "SITE_HEADER": _("Notifications"),
    "SITE_SYMBOL": "send",
    "SHOW_HISTORY": True,
    "STYLES": [lambda request: static("messaging/admin.css")],
    "DASHBOARD_CALLBACK": "reporting.dashboard.page.fill",
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "title": _("Delivery"),
                "items": [
                    {
                        "title": _("Overview"),
                        "icon": "monitoring",
                        "link": reverse_lazy("admin:index"),
                        "permission": _may_see("messaging.view_message"),
                    },
                    {
                        "title": _("Messages"),
                        "icon": "mail",
                        "link": reverse_lazy("admin:messaging_message_changelist"),
                        "permission": _may_see("messaging.view_message"),
                    },
                    {
                        "title": _("Batches"),
                        "icon": "stacks",
                        "link": reverse_lazy("admin:messaging_batch_changelist"),
                        "permission": _may_see("messaging.view_batch"),
                    },
                    {
                        "title": _("Attempts"),
                        "icon": "outbound",
                        "link": reverse_lazy("admin:messaging_attempt_changelist"),
                        "permission": _may_see("messaging.view_attempt"),
                    },
                    {
                        "title": _("Events"),
                        "icon": "history",
                        "link": reverse_lazy("admin:messaging_event_changelist"),
                        "permission": _may_see("messaging.view_event"),
                    },
                    {
                        "title": _("Attachments"),
                        "icon": "attach_file",
                        "link": reverse_lazy("admin:messaging_attachment_changelist"),
                        "permission": _may_see("messaging.view_attachment"),
                    },
                    {
                        "title": _("Suppressed recipients"),
                        "icon": "block",
                        "link": reverse_lazy("admin:messaging_suppression_changelist"),
                        "permission": _may_see("messaging.view_suppression"),
                    },
                    {
                        "title": _("Reports of providers"),
                        "icon": "mark_email_read",
                        "link": reverse_lazy("admin:messaging_providerreport_changelist"),
                        "permission": _may_see("messaging.view_providerreport"),
                    },
                    {
                        "title": _("Senders"),
                        "icon": "alternate_email",
                        "link": reverse_lazy("admin:messaging_sender_changelist"),
                        "permission": _may_see("messaging.view_sender"),
                    },
                    {
                        "title": _("Sender groups"),
                        "icon": "domain",
                        "link": reverse_lazy("admin:messaging_sendergroup_changelist"),
                        "permission": _may_see("messaging.view_sendergroup"),
                    },
                    {
                        "title": _("Webhooks"),
                        "icon": "webhook",
                        "link": reverse_lazy("admin:messaging_webhookendpoint_changelist"),
                        "permission": _may_see("messaging.view_webhookendpoint"),
                    },
                    {
                        "title": _("Webhook deliveries"),
                        "icon": "call_made",
                        "link": reverse_lazy("admin:messaging_webhookdelivery_changelist"),
                        "permission": _may_see("messaging.view_webhookdelivery"),
                    },
                ],
            },
            {
                "title": _("Content"),
                "items": [
                    {
                        "title": _("Templates"),
                        "icon": "article",
                        "link": reverse_lazy("admin:templates_app_template_changelist"),
                        # A version's page belongs to it as well.
                        "active": lambda request: "/templates_app/" in request.path,
                        "permission": _may_see("templates_app.view_template"),
                    },
                ],
            },
            {
                "title": _("Access"),
                "items": [
                    {
                        "title": _("Applications"),
                        "icon": "apps",
                        "link": reverse_lazy("admin:accounts_application_changelist"),
                        "permission": _may_see("accounts.view_application"),
                    },
                    {
                        "title": _("API keys"),
                        "icon": "key",
                        "link": reverse_lazy("admin:accounts_apikey_changelist"),
                        "permission": _may_see("accounts.view_apikey"),
                    },
                    {
                        "title": _("Operators"),
                        "icon": "group",
                        "link": reverse_lazy("admin:accounts_user_changelist"),
                        "permission": _may_see("accounts.view_user"),
                    },
                    {
                        "title": _("Groups"),
                        "icon": "groups",
                        "link": reverse_lazy("admin:auth_group_changelist"),
                        "permission": _may_see("auth.view_group"),
                    },
                ],
            },
        ],
    },
}
