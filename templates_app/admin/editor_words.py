"""What the editor's script says, in the operator's language."""

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext


def editor_words() -> dict[str, Any]:
    return {
        "fields": {
            "subject": _("Subject"),
            "body": _("Body"),
            "text": _("Plain text part"),
            "body_format": _("Body format"),
            "variables": _("Variables"),
            "provider_template_id": _("The provider's template"),
            "provider_signature": _("Signature"),
            "provider_kind": _("Kind of template"),
            "provider_parameters": _("What is filled in"),
        },
        "table": {
            "type": _("type"),
            "required": _("required"),
            "example": _("example"),
            "sample": _("made up"),
            "unused": _("not in the text"),
            "remove": _("Remove"),
            "types": {
                "any": _("any"),
                "string": pgettext("type of a variable", "text"),
                "number": pgettext("type of a variable", "number"),
                "integer": _("whole number"),
                "boolean": _("yes or no"),
                "array": _("list"),
                "object": pgettext("type of a variable", "group"),
            },
        },
        "where": _("%(part)s, line %(line)s:"),
        "away": _("The server does not answer. What you wrote is still here."),
        "loggedOut": _("You are logged out. Log in in another tab, then go on here."),
        "refused": _("The server refused it."),
        "stale": _("This is the last text that could be rendered: see what is wrong."),
        "noSubject": _("(no subject)"),
        "noText": _("(no text)"),
        "unsaved": _("Not saved yet"),
        "saving": _("Saving …"),
        "notSaved": _("It was not saved."),
        "fieldDiffers": _("%(name)s: stored, and yours"),
        "theirsTaken": _("You see what is stored."),
        "sending": _("Sending …"),
        "openMessage": _("See the message"),
    }
