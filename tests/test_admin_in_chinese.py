"""Whoever asks for Chinese gets Chinese: what never went through gettext is found on the pages."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone

from accounts.authentication import issue_token
from messaging.channels.registry import ADAPTERS, BUILT_IN
from messaging.models import Attempt
from tests.factories import NOON, drain, make_api_key, make_group, make_message, make_sender
from tests.test_admin import _one_of_each  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-hans"}
# Before tests put fakes beside them.
REAL_ADAPTERS = sorted(ADAPTERS.keys() - BUILT_IN)
# Names of products, protocols, formats and keys, and what is the same in every language.
NAMES = re.findall(
    r"\w+",
    """
    AccessKey AgentId anymail API AppID apprise Apprise AppSecret bcc beat brevo Brevo cc CN Command
    Content Control CSV Django EncodingAESKey English esc Gone HELO HK HTML HTTP https ID IP
    JSON Key LDAP Mac MailerSend mailersend mailgun Mailgun mailjet Mailjet mailtrap Mailtrap
    mandrill Markdown MiB MJML none OK OpenID ping postal Postmark postmark RAM resend Scaleway
    scaleway Schema Secret Server SHA smtp SMTP sparkpost SparkPost STARTTLS starttls TLS tls
    throttled Token URL UTC UTF Webhook
    """,
)
# What the rows of the tests have in them, and their adapter; the groups that come with the
# platform, which may be renamed; what axes calls a row, on a page that no other leads to.
DATA = re.compile(
    "A template|A secret|ann|Color|fake[a-z-]*|Hello|Means nothing|[Rr]eaders|tests"
    "|Attempted Access|Administrator|Operator|Template editor|Viewer"
)
# Ids, addresses, codes, names of settings and the like: nothing that a language has.
NO_WORD = re.compile(r"[!-~]*[\d_@*/:=%{}][!-~]*|\b[A-Za-z]+[-.][A-Za-z.-]+\b")
WORD = re.compile(r"[A-Za-z]{2,}")


class Page(HTMLParser):
    """What somebody reads on it, piece by piece."""

    SHOWN_ATTRIBUTES = frozenset({"alt", "aria-label", "placeholder", "title"})
    UNREAD = frozenset({"script", "style", "code", "pre", "textarea", "iframe", "template"})
    WITHOUT_END = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "source"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._unread: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        # An icon is a word in a font of icons.
        is_unread = tag in self.UNREAD or "material-symbols" in (named.get("class") or "")
        if tag not in self.WITHOUT_END and (self._unread or is_unread):
            self._unread.append(tag)
        self.pieces += [text for name, text in attrs if name in self.SHOWN_ATTRIBUTES and text]
        if tag == "input" and named.get("type") == "submit":
            self.pieces.append(named.get("value") or "")

    def handle_endtag(self, tag: str) -> None:
        if self._unread and self._unread[-1] == tag:
            self._unread.pop()

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.pieces.append(data)


def english_in(html: str) -> list[str]:
    """The pieces of a page that have a word of it."""
    return [
        " ".join(piece.split())
        for piece in Page(html).pieces
        if set(WORD.findall(NO_WORD.sub(" ", DATA.sub(" ", piece)))) - set(NAMES)
    ]


def admin_urls() -> Iterator[str]:
    """The first page; each list, the page of one row, the form for a new one, of each adapter."""
    yield reverse("admin:index")
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        row = model._default_manager.first()
        assert row is not None, f"`_one_of_each` makes no {name}"
        yield reverse(f"{name}_change", args=[row.pk])
        yield reverse(f"{name}_add")
    for adapter in REAL_ADAPTERS:
        yield f"{reverse('admin:messaging_sender_add')}?adapter={adapter}"


@pytest.mark.usefixtures("_one_of_each")
def test_no_english_is_left_on_a_page(operator):
    seen, left = 0, []
    for url in admin_urls():
        response = operator.get(url, **CHINESE)
        # Much of what is shown cannot be added by hand.
        assert response.status_code == 200 or (response.status_code, url[-5:]) == (403, "/add/")
        if response.status_code == 200:
            seen += 1
            left += [f"{url}: {piece}" for piece in english_in(response.content.decode())]

    assert not left, "\n".join(left)
    assert seen > 2 * len(admin.site._registry)


def test_scripts_of_the_admin_speak_chinese(operator):
    # Not all of these are in Django's own.
    words = operator.get(reverse("admin:jsi18n"), **CHINESE).content.decode()

    assert "Choose all %s" in words
    assert json.dumps("选择全部%s") in words


def test_why_the_pool_left_senders_out_is_told_in_chinese(operator, adapter):
    make_sender()
    make_sender(per_day=0, priority=1)
    make_sender(benched_until=NOON + timedelta(hours=1), last_failure_kind="throttled", priority=2)
    make_sender(is_active=False)
    group = make_group(per_hour=0)
    make_sender(group=group, priority=3)
    message = make_message()
    drain()

    page = operator.get(reverse("admin:messaging_message_change", args=[message.pk]), **CHINESE)

    html = page.content.decode()
    excluded = Attempt.objects.get().decision["excluded"]
    assert len(excluded) == 4
    for why in ("已停用", "每天限额已用完", f"所属账号组 {group} 的每小时限额已用完"):
        assert why in html
    assert "UTC（throttled）" in html
    assert not [words for words in excluded.values() if words in html]


def test_a_refusal_is_told_in_chinese(operator):
    key = make_api_key(expires_at=timezone.now() - timedelta(hours=1))

    response = operator.post(
        reverse("admin:accounts_apikey_rotate", args=[key.pk]), follow=True, **CHINESE
    )

    assert f"{key} 已失效，请签发新的密钥。" in response.content.decode()


def test_english_would_be_seen(operator):
    page = operator.get(reverse("admin:index"), HTTP_ACCEPT_LANGUAGE="en").content.decode()

    assert {"Messages", "Suppressed recipients", "Log out"} <= set(english_in(page))


def test_the_api_does_not_go_on_in_the_language_of_the_last_page(operator):
    token = issue_token(make_api_key())
    operator.get(reverse("admin:index"), **CHINESE)

    response = operator.post(
        "/api/v1/messages/email/send",
        {},
        content_type="application/json",
        HTTP_AUTHORIZATION=f"Bearer {token}",
        **CHINESE,
    )

    assert response.status_code == 422
    assert "This field is required." in {one["detail"] for one in response.json()["errors"]}
