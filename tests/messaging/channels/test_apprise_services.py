"""Of Apprise only that may be used which speaks through us, and what the documents show works."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from messaging.channels.apprise_chat import AppriseChat
from messaging.channels.apprise_http import _OURS, Exchange, speaking_through
from messaging.channels.apprise_services import MODULES, SERVICES, BadUrl, open_service

ROOT = Path(__file__).resolve().parents[3]
PAGES = ["docs/channels/chat.md", "docs/channels/chat.zh-hans.md"]
# What else could open a connection, a file that a URL names, or a process.
NOT_ALONE = {"socket", "ssl", "subprocess", "threading", "asyncio", "http", "urllib", "urllib3"}


def plugin_of(module):
    plugins = importlib.import_module(f"apprise.plugins.{module}")
    return plugins, getattr(plugins, SERVICES[module][0])


@pytest.mark.parametrize("module", SERVICES)
def test_the_schemas_are_the_plugins_own_and_it_can_be_used(module):
    _, plugin = plugin_of(module)

    schemas = set()
    for value in (plugin.protocol, plugin.secure_protocol):
        schemas |= {value} if isinstance(value, str) else set(value or ())

    assert set(SERVICES[module][1:]) <= schemas
    assert plugin.enabled


@pytest.mark.parametrize("module", SERVICES)
def test_a_plugin_speaks_only_through_what_stands_in_the_place_of_requests(module):
    plugins, _ = plugin_of(module)

    imported, used = set(), set()
    for node in ast.walk(ast.parse(inspect.getsource(plugins))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add(node.module)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used |= {node.attr} if node.value.id == "requests" else set()

    assert "requests" in imported
    assert not {name.partition(".")[0] for name in imported - {"urllib.parse"}} & NOT_ALONE
    assert not {name for name in imported if name.startswith("requests.")}
    assert not [name for name in used if not hasattr(_OURS, name)]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "syslog://",
        "rsyslog://10.0.0.1",
        "dbus://",
        "gnome://",
        "macosx://",
        "windows://",
        "mailtos://user:secret@example.com",
        "json://example.com/secret",
        "jsons://example.com/secret",
        "xml://example.com/secret",
        "form://example.com/secret",
        "apprises://example.com/secret",
        "twilio://secret:secret@15555550100/15555550101",
        "vapid://secret/secret",
        "wecombot://secret-secret",
        "https://oapi.dingtalk.com/robot/send?access_token=secret",
        "secret",
        "secret secret://x",
        "",
    ],
)
def test_what_may_not_be_used_is_named_by_its_schema_alone(url):
    with pytest.raises(BadUrl) as caught:
        open_service(url)

    assert "secret" not in str(caught.value)
    assert "passwd" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["dingtalk://", "slack://secret", "tgram://secret", "ntfys://[secret/topic"]
)
def test_what_apprise_cannot_read_is_told_without_the_url(url):
    with pytest.raises(BadUrl) as caught:
        open_service(url)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "argument",
    ["verify=no", "redirect=yes", "rto=9999", "retry=5", "overflow=split", "template=/etc/passwd"],
)
def test_a_url_does_not_loosen_the_platforms_limits(argument):
    with pytest.raises(BadUrl, match=argument.partition("=")[0]):
        open_service(f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?{argument}")


@pytest.mark.parametrize("separator", ["&", ";", "&%20", "&TEMPLATE=x&"])
def test_no_spelling_of_an_argument_passes(separator):
    url = f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?image=no{separator}"

    for argument in ("template=/etc/passwd", "Template=/etc/passwd", "t%65mplate=/etc/passwd"):
        with pytest.raises(BadUrl, match="template"):
            open_service(url + argument)


def test_a_sender_leads_to_one_place():
    with pytest.raises(BadUrl, match="leads to 2 places"):
        open_service("ntfys://ntfy.example.com/one/two")


@pytest.mark.parametrize("page", PAGES)
def test_every_url_in_the_documents_can_be_read(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = [url for url in re.findall(r"`([a-z]+://[^`…]+)`", text) if "//" in url]
    shown = [url for url in shown if not url.startswith("http")]

    assert {url.partition("://")[0] for url in shown} >= {
        "dingtalk",
        "feishu",
        "slack",
        "tgram",
        "ntfys",
        "barks",
    }
    for url in shown:
        assert AppriseChat.problems({}, {"url": url}) == {}


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("dingtalk://a1b2c3d4e5f6", "oapi.dingtalk.com"),
        ("feishu://a1b2c3d4e5f6", "open.feishu.cn"),
        ("lark://a1b2c3d4e5f6", "open.larksuite.com"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "hooks.slack.com"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544", "api.telegram.org"),
        ("ntfys://my-topic", "ntfy.sh"),
        ("barks://api.day.app/a1b2c3d4e5f6", "api.day.app"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "discord.com"),
        ("gchat://workspace/key/token", "chat.googleapis.com"),
        ("gotifys://gotify.example.com/AbCdEfGhIjKlMn1", "gotify.example.com"),
    ],
)
def test_a_url_leads_to_its_service(url, host):
    plugin, exchange = open_service(url), Exchange(is_rehearsal=True)

    with speaking_through(exchange, plugin):
        assert not plugin.notify(body="T")

    assert {target.host for target in exchange.targets} == {host}
    assert {target.scheme for target in exchange.targets} == {"https"}


def test_outside_of_a_hand_over_nothing_is_called():
    plugin = open_service("ntfys://my-topic")
    with speaking_through(Exchange(is_rehearsal=True), plugin):
        pass

    with pytest.raises(LookupError):
        plugin.notify(body="T")


def test_both_documents_show_the_same_urls():
    english, chinese = (
        sorted(re.findall(r"`([a-z]+://[^`]*)`", (ROOT / page).read_text())) for page in PAGES
    )

    assert english == chinese


@pytest.mark.parametrize("page", PAGES)
def test_the_documents_list_every_schema(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    listed = set(re.findall(r"`([a-z0-9]+)`", text.partition("<!-- schemas -->")[2]))

    assert listed == set(MODULES)
