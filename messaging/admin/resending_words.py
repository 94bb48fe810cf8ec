"""The sentences of the confirmations for sending messages again."""

from django.utils.translation import gettext, ngettext

from messaging.resending import COUNT_LIMIT


def number(count: int) -> str:
    if count <= COUNT_LIMIT:
        return f"{count:,}"
    return gettext("more than %(count)s") % {"count": f"{COUNT_LIMIT:,}"}


def question(count: int) -> str:
    text = ngettext("Send %(count)s message again?", "Send %(count)s messages again?", count)
    return text % {"count": number(count)}


def what_happens() -> str:
    return gettext("Each gets its whole lifetime anew and goes to whichever sender is free.")


def stay(count: int) -> str:
    text = ngettext(
        "%(count)s of the selected is neither failed nor unknown: it stays as it is.",
        "%(count)s of the selected are neither failed nor unknown: they stay so.",
        count,
    )
    return text % {"count": number(count)}


def may_duplicate(count: int) -> str:
    text = ngettext(
        "Of %(count)s message it is not known whether the provider took it: sending it again "
        "may duplicate it.",
        "Of %(count)s messages it is not known whether the provider took them: sending them "
        "again may duplicate them.",
        count,
    )
    return text % {"count": number(count)}


def may_duplicate_too(count: int) -> str:
    text = ngettext(
        "Of %(count)s further message it is not known whether the provider took it: sending it "
        "again may duplicate it. It is left out unless you say otherwise below.",
        "Of %(count)s further messages it is not known whether the provider took them: sending "
        "them again may duplicate them. They are left out unless you say otherwise below.",
        count,
    )
    return text % {"count": number(count)}


def include(count: int) -> str:
    text = ngettext(
        "Also send the %(count)s message that may have arrived.",
        "Also send the %(count)s messages that may have arrived.",
        count,
    )
    return text % {"count": number(count)}


def limited(limit: int) -> str:
    told = gettext("One confirmation sends at most %(limit)s, the oldest first.")
    return f"{told % {'limit': number(limit)}} {_rest()}"


def there_are_more() -> str:
    return f"{gettext('There are more that match.')} {_rest()}"


def _rest() -> str:
    return gettext(
        "For the rest ask again, or call manage.py resend_messages, which takes any number and can "
        "spread them over time."
    )


def on_their_way(count: int) -> str:
    text = ngettext(
        "%(count)s message is on its way again.",
        "%(count)s messages are on their way again.",
        count,
    )
    return text % {"count": number(count)}


def had_moved(count: int) -> str:
    text = ngettext(
        "%(count)s had moved meanwhile and stays as it is.",
        "%(count)s had moved meanwhile and stay as they are.",
        count,
    )
    return text % {"count": number(count)}
