"""A chat message through the engine: claimed, marked, sent by the real Apprise, written down."""

from ipaddress import ip_network

import pytest

from messaging.models import Attempt, Reason, Status
from messaging.senders import save_sender
from notification_platform.embedded.providers.chat import ChatServer
from notification_platform.embedded.providers.server import Act, Answer
from tests.factories import drain, make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "tk_0123456789abcdefghijklmnopqrs"


@pytest.fixture
def provider(settings):
    settings.CHAT_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    with ChatServer(token=TOKEN) as server:
        yield server


@pytest.fixture
def sender(provider):
    sender = make_sender(name="team", channel="chat", adapter="apprise", from_address="")
    url = f"ntfy://{TOKEN}@127.0.0.1:{provider.port}/releases?auth=token"
    return save_sender(sender, credentials={"url": url})


@pytest.fixture
def message(sender):
    content = {"to": [["", "team"]], "subject": "发布完成", "text": "Version 2.1 is live."}
    return make_message(channel="chat", recipient="team", content=content, only_sender=sender)


def test_it_arrives_once(provider, sender, message):
    drain(channel="chat")

    message = reloaded(message)
    assert (message.status, message.sender_id) == (Status.SUCCESS, sender.pk)
    assert [(a.to, a.title) for a in provider.arrived] == [("releases", "发布完成")]


def test_what_is_refused_for_good_fails_with_the_services_words(provider, message):
    provider.script = Answer.of({"code": 40017, "error": "invalid request"}, 400)

    drain(channel="chat")

    message = reloaded(message)
    assert (message.status, message.reason) == (Status.FAILED, Reason.REJECTED)
    assert "invalid request" in message.reason_detail


def test_a_sender_with_a_wrong_token_rests_and_its_message_waits(provider, sender, message):
    provider.token = "tk_another"

    drain(channel="chat")

    sender = reloaded(sender)
    assert reloaded(message).status == Status.PENDING
    assert (sender.last_failure_kind, sender.benched_until is not None) == ("credentials", True)
    assert TOKEN not in sender.last_failure_words


def test_without_an_answer_it_is_unknown_and_nothing_shows_the_url(provider, message):
    provider.lose.append(Act.CLOSE)

    drain(channel="chat")

    attempt = Attempt.objects.get(message=message)
    assert reloaded(message).status == Status.UNKNOWN
    assert attempt.outcome == Attempt.Outcome.UNKNOWN
    assert TOKEN not in f"{attempt.provider_words} {reloaded(message).reason_detail}"
