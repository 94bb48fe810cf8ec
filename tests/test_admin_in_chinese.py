"""Whoever asks for Chinese gets Chinese: what never went through gettext is found on the pages."""

import re
from html.parser import HTMLParser

import pytest
from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from django.utils import translation

from messaging.channels.registry import ADAPTERS, BUILT_IN
from messaging.models import Message
from tests.factories import make_api_key
from tests.test_admin import REGISTERED, _one_of_each  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db

CHINESE = {"HTTP_ACCEPT_LANGUAGE": "zh-hans"}
# Names of products, protocols and formats, and what is the same in every language.
NAMES = """
    AccessKey AgentId AES Aliyun API AppID Apprise AppSecret Bark Brevo cc bcc CSV Django EncodingAESKey
    English esc Gone HELO HTML HTTP ID IP JSON Key Mailgun Mailjet MailerSend Mailtrap Markdown MiB MJML
    ms OpenID Postmark RAM Scaleway Schema Secret SHA SMTP SparkPost SSL STARTTLS TLS Token URL UTC UTF
    Webhook WeChat ping none starttls tls
""".split()
# What the tests wrote into the rows.
DATA = "Hello A template readers tests fake color ann bob nobody sender application operator".split()
# Ids, addresses, codes, names of settings and the like: nothing that a language has.
NO_WORD = re.compile(r"\S*[\d_@/:.=%{}]\S*|\b[A-Z]\b|\b\w+-\w+\b")
WORD = re.compile(r"[A-Za-z]{2,}")
SHOWN_ATTRIBUTES = {"alt", "aria-label", "placeholder", "title"}


class Seen(HTMLParser):
    """What somebody reads on a page, piece by piece."""

    HIDDEN = {"script", "style", "code", "pre", "textarea", "iframe", "template", "option"}
    VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "path", "source", "wbr"}

    def __init__(self, page: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.hidden: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        shown = dict(attrs)
        is_icon = "material-symbols-outlined" in (shown.get("class") or "")
        if tag not in self.VOID and (self.hidden or tag in self.HIDDEN or is_icon):
            self.hidden.append(tag)
        self.pieces += [value for name, value in attrs if name in SHOWN_ATTRIBUTES and value]
        if tag == "input" and shown.get("type") in {"submit", "button"}:
            self.pieces.append(shown.get("value") or "")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if self.hidden and self.hidden[-1] == tag:
            self.hidden.pop()

    def handle_data(self, data):
        if not self.hidden:
            self.pieces.append(data)


def english_in(page: str) -> list[str]:
    allowed = {*NAMES, *DATA}
    return [
        " ".join(piece.split())
        for piece in Seen(page).pieces
        if set(WORD.findall(NO_WORD.sub(" ", piece))) - allowed
    ]


def pages() -> list[str]:
    """The first page, each list, each form for a new one, and the page of a row of each kind."""
    found = [reverse("admin:index")]
    for model in REGISTERED:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        found.append(reverse(f"{name}_changelist"))
        found.append(reverse(f"{name}_change", args=[model.objects.first().pk]))
        found.append(reverse(f"{name}_add"))
    add = reverse("admin:messaging_sender_add")
    return found + [f"{add}?adapter={name}" for name in ADAPTERS.keys() - BUILT_IN]


@pytest.mark.usefixtures("_one_of_each")
def test_no_english_is_left_on_any_page(operator):
    left = {}
    for url in pages():
        response = operator.get(url, **CHINESE)
        # Much of what is shown cannot be added by hand.
        assert response.status_code == 200 or (response.status_code, url[-5:]) == (403, "/add/")
        if words := english_in(response.content.decode()):
            left[url] = words

    assert not left, "\n".join(f"{url}: {words}" for url, words in left.items())
