"""Messages of WeChat Work on their whole way, from the queue to the provider."""

import pytest

from messaging.channels import tokens
from messaging.channels.content import TextContent
from messaging.models import Attempt, Status, Suppression
from notification_platform.embedded.providers.wecom import WecomServer
from tests.factories import drain, make_message, make_sender, reloaded

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_tokens():
    tokens.forget()


@pytest.fixture
def provider():
    with WecomServer() as running:
        yield running


@pytest.fixture
def app(provider):
    known = provider.apps[0]
    return make_sender(
        channel="wechat",
        adapter="wecom_app",
        from_address="",
        options={
            "corp_id": provider.corp_id,
            "agent_id": known.agent_id,
            "api_url": provider.url,
        },
        credentials={"secret": known.secret},
    )


def message_to(*people, **further):
    content = TextContent([("", one) for one in people], text="Hello").as_json()
    return make_message(channel="wechat", recipient=people[0], content=content, **further)


def test_who_is_not_there_stands_in_the_attempt_by_position(provider, app):
    message = message_to("zhangsan", "Nobody", "party:99")

    drain(channel="wechat")

    attempt = Attempt.objects.get()
    assert reloaded(message).status == Status.SUCCESS
    assert [one["recipient"] for one in attempt.refused] == ["to/1", "to/2"]
    assert provider.arrived[0].to == "zhangsan"


def test_a_message_for_nobody_who_is_there_fails_and_suppresses_nobody(provider, app):
    message = message_to("nobody")

    drain(channel="wechat")

    assert (reloaded(message).status, reloaded(message).reason) == (Status.FAILED, "hard_bounce")
    # He may join the application's visible range tomorrow.
    assert not Suppression.objects.exists()


def test_a_robots_key_that_nobody_knows_rests_the_robot_and_keeps_the_message(provider):
    robot = make_sender(
        channel="wechat",
        adapter="wecom_robot",
        from_address="",
        options={"api_url": provider.url},
        credentials={"key": "00000000-wrong"},
    )
    message = message_to(f"robot:{robot.name}", only_sender=robot)

    drain(channel="wechat")

    assert reloaded(message).status == Status.PENDING
    assert reloaded(robot).last_failure_kind == "credentials"
    assert "00000000-wrong" not in reloaded(robot).last_failure_words
