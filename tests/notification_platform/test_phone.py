"""The local phone: from a sender through its imitation into the folder, and onto the page."""

import json
from uuid import uuid4

import pytest
from django.test import RequestFactory
from django.urls import get_resolver

from core.ids import uuid7
from messaging.channels.base import Outbound
from messaging.channels.content import TextContent
from messaging.channels.registry import ADAPTERS
from messaging.models import Sender
from notification_platform import phone
from notification_platform.embedded import first_data, parts
from notification_platform.embedded.local_senders import LOCAL_SENDERS, usable


@pytest.fixture
def folder(settings, tmp_path):
    # Routes are made once: those of an installation without a phone, as all other tests have it.
    assert get_resolver().url_patterns
    settings.PHONE_DIR = str(tmp_path / "phone")
    (tmp_path / "phone").mkdir()
    return tmp_path / "phone"


def put(folder, **content):
    name = str(uuid7())
    content = {"channel": "chat", "to": "newcomers", "text": "T"} | content
    (folder / f"{name}.json").write_text(json.dumps(content))
    return name


def page():
    response = phone.show(RequestFactory().get("/phone"))
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture
def started(settings, tmp_path, folder):
    from ipaddress import ip_network

    settings.CHAT_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    running = parts.start_providers(folder)
    yield running
    running.stop()


def start(tmp_path, running):
    return first_data.make(
        tmp_path / "access.json", port=8000, mailbox_port=2525, providers=running.senders
    )


@pytest.mark.django_db
def test_a_chat_arrives_on_the_phone(started, tmp_path):
    start(tmp_path, started)
    sender = Sender.objects.get(name="ops-chat")
    content = TextContent(to=[("", "ops-chat")], subject="发布完成", text="已上线 & <b>live</b>")

    ADAPTERS[sender.adapter](sender.account()).send(Outbound(str(uuid4()), "<m@x>", content))

    (entry,) = phone.newest()
    assert (entry.channel, entry.title, entry.text) == ("chat", content.subject, content.text)
    assert "发布完成" in page()
    assert "已上线 &amp; &lt;b&gt;live&lt;/b&gt;" in page()


@pytest.mark.django_db
def test_each_adapter_of_the_platform_has_a_local_sender(started, tmp_path):
    start(tmp_path, started)

    for local in usable():
        sender = Sender.objects.get(name=local.name)
        assert (sender.channel, sender.adapter) == (local.channel, local.adapter)
        steps = list(ADAPTERS[sender.adapter](sender.account()).probe())
        assert all(step.is_ok for step in steps), steps
    assert len({local.name for local in LOCAL_SENDERS}) == len(LOCAL_SENDERS)


@pytest.mark.django_db
def test_senders_follow_the_ports_of_the_next_start(started, tmp_path, folder):
    start(tmp_path, started)
    before = Sender.objects.get(name="ops-chat").account()

    again = parts.start_providers(folder)
    try:
        start(tmp_path, again)
    finally:
        again.stop()

    after = Sender.objects.get(name="ops-chat").account()
    assert before.sender_id == after.sender_id
    assert before.credentials != after.credentials


def test_the_newest_message_stands_first(folder):
    for text in ("first", "second", "third"):
        put(folder, text=text)

    assert [entry.text for entry in phone.newest()] == ["third", "second", "first"]


def test_what_is_being_written_is_not_read(folder):
    (folder / f"{uuid7()}.part").write_text('{"channel": "chat", ')

    assert "No message yet." in page()


def test_every_part_of_a_message_is_shown_and_none_is_html(folder):
    attack = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    put(folder, channel=attack, to=attack, title=attack, text=attack, details={attack: [attack]})

    shown = page()

    assert "<script>" not in shown
    assert "<img" not in shown
    assert shown.count("&lt;script&gt;") == 6


def test_details_are_readable(folder):
    put(folder, details={"signature": "示例", "markdown": True, "parameters": {"code": "1234"}})

    shown = page()

    assert "<dd>示例</dd>" in shown
    assert "<dd>true</dd>" in shown
    assert "{&quot;code&quot;: &quot;1234&quot;}" in shown


def test_channels_are_called_by_their_names(folder):
    put(folder, channel="wechat_official")

    assert "WeChat Official Account" in page()


def test_without_a_folder_there_is_no_page(client, settings):
    assert phone.urlpatterns() == []
    assert client.get("/phone").status_code == 404
