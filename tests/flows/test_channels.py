"""Each channel on its whole way, by HTTP alone, through processes as they run for real: from the
call to the imitated provider, and back as feedback."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notification_platform.embedded.providers.aliyun import KEY_ID, SIGN_NAME
from notification_platform.embedded.providers.server import Act, Answer
from tests.flows.caller import Caller
from tests.flows.canaries import everything_in_redis
from tests.flows.channels import Channels
from tests.flows.providers import BUILDS, OPERATIONS, SECOND_SIGN_NAME
from tests.installation import until

ANN, BOB = "oAnn-Follows_WeChat000000001", "oBob-Follows_WeChat000000002"
CODE: dict[str, Any] = {
    "template_code": "login-code",
    "locale": "zh-hans",
    "variables": {"code": "482913", "minutes": 5},
}
ORDER: dict[str, Any] = {
    "template_code": "order-paid",
    "locale": "zh-hans",
    "variables": {
        "number": "4711",
        "item": "Tea",
        "amount": 7.4,
        "at": "2026-11-22T09:30:00+08:00",
    },
}


@pytest.fixture
def caller(channels: Channels) -> Caller:
    return channels.caller


# --- SMS -----------------------------------------------------------------------------------------


def test_a_code_arrives_with_its_text_and_is_reported_as_delivered(channels, caller):
    sent = caller.send("sms", to="138 0013 8001", **CODE)
    message = caller.wait(sent, status="success")
    (sms,) = channels.sms.sent_to("13800138001")

    # Answered as documented; and once more, as providers do.
    assert channels.report_sms(sms)
    assert channels.report_sms(sms)

    message = caller.wait(sent, feedback="delivered")
    assert sms.content == "【示例科技】您的验证码是482913，5分钟内有效。"
    assert (message["sender"], message["recipient"]) == ("sms-1", "+8613800138001")
    assert (message["segments"], message["provider_template"]["id"]) == (1, "SMS_100000002")
    told = [(entry["kind"], entry["status"]) for entry in caller.entries(sent)]
    assert told == [("accepted", "pending"), ("attempt", "success"), ("feedback", "delivered")]
    assert "sms-1 of to/0: DELIVERED" in caller.entries(sent, "feedback")[0]["detail"]


def test_a_number_that_nobody_has_bounces_and_is_not_written_to_again(channels, caller):
    sent = caller.send("sms", to="13800138002", **CODE)
    caller.wait(sent, status="success")

    channels.report_sms(*channels.sms.sent_to("13800138002"), code="MK:0001")

    message = caller.wait(sent, feedback="bounced")
    again = caller.try_to_send("sms", to="13800138002", **CODE)
    suppressed = caller.ask("suppressions?channel=sms").body["results"]
    assert [step["status"] for step in message["history"]][-2:] == ["success", "bounced"]
    assert (again.status, again.body["errors"][0]["code"]) == (422, "recipient_suppressed")
    assert ("+8613800138002", "hard_bounce") in [(s["address"], s["reason"]) for s in suppressed]
    assert len(channels.sms.sent_to("13800138002")) == 1


def test_a_phone_that_was_off_bounces_and_may_be_written_to_again(channels, caller):
    sent = caller.send("sms", to="13800138003", **CODE)
    caller.wait(sent, status="success")

    channels.report_sms(*channels.sms.sent_to("13800138003"), code="MK:0005")

    caller.wait(sent, feedback="bounced")
    again = caller.send("sms", to="13800138003", **CODE)
    caller.wait(again, status="success")


@pytest.fixture
def penniless(channels):
    """Keys of accounts without money."""
    yield channels.sms.penniless
    channels.sms.penniless.clear()


def test_who_has_no_money_left_is_followed_by_the_second_account(channels, caller, penniless):
    penniless.add(KEY_ID)
    sent = caller.send("sms", to="13800138004", **CODE)
    caller.wait(sent, status="success")
    meanwhile = caller.ask("senders/sms-1").body
    (by_second,) = channels.sms.sent_to("13800138004")
    channels.report_sms(by_second, sender="sms-2")

    # Paid, and tested by an operator.
    penniless.clear()
    channels.manage("test_sender", "sms-1")
    later = caller.send("sms", to="13800138005", **CODE)

    first, second = caller.attempts(sent)
    assert (first["sender"], first["outcome"], first["kind"]) == ("sms-1", "sender", "quota")
    assert first["provider_code"] == "isv.AMOUNT_NOT_ENOUGH"
    assert (second["sender"], second["outcome"]) == ("sms-2", "accepted")
    assert "sms-1" in second["excluded"]
    assert (by_second.template, by_second.sign_name) == ("SMS_900000002", SECOND_SIGN_NAME)
    assert by_second.content == "【示例商城】您的验证码是482913，5分钟内有效。"
    assert meanwhile["state"] == "benched"
    assert caller.wait(sent, feedback="delivered")["sender"] == "sms-2"
    assert caller.wait(later, status="success")["sender"] == "sms-1"
    assert channels.sms.sent_to("13800138005")[0].sign_name == SIGN_NAME


def test_after_a_lost_answer_the_provider_is_asked_and_has_one_copy(channels, caller):
    asked_before = channels.sms.questions
    channels.sms.lose.append(Act.CLOSE)
    sent = caller.send("sms", to="13800138006", policy="at_least_once", **CODE)
    unknown = caller.wait(sent, status="unknown")

    # As if the minute had passed in which the provider may come to know of it.
    channels.execute("UPDATE messaging_message SET due_at = now() WHERE status = 'unknown'")
    message = caller.wait(sent, status="success")

    assert unknown["sender"] == "sms-1"
    assert channels.sms.questions > asked_before
    assert len(channels.sms.sent_to("13800138006")) == 1
    assert [attempt["outcome"] for attempt in caller.attempts(sent)] == ["unknown"]
    statuses = [step["status"] for step in message["history"]]
    assert statuses == ["pending", "sending", "unknown", "success"]


def test_fifty_codes_in_one_request_are_counted_and_all_reported(channels, caller):
    refusal = {"Code": "isv.MOBILE_NUMBER_ILLEGAL", "Message": "13900139000invalid mobile"}
    channels.sms.once.append(Answer.of(refusal))
    numbers = [f"139001390{n:02}" for n in range(50)]
    items: list[dict[str, Any]] = [
        {"to": number, "variables": {"code": f"{1000 + n}"}} for n, number in enumerate(numbers)
    ]
    common = {"locale": "zh-hans", "variables": {"minutes": 5}}
    accepted = caller.batch(
        "sms", [*items, {"to": "12"}], template_code="login-code", defaults=common
    )
    batch = accepted["batch_id"]

    caller.wait_for_batch(batch, success=49, failed=1)
    arrived = channels.sms.sent_to(*numbers)
    channels.report_sms(*arrived)

    def feedback() -> Counter[str]:
        return Counter(m["feedback"] for m in caller.listed(f"batch_id={batch}"))

    until(lambda: feedback() == {"delivered": 49, "": 1}, seconds=20, what="all reported")
    assert (accepted["accepted"], accepted["rejected"]) == (50, 1)
    assert accepted["results"][50]["error"]["errors"][0]["pointer"] == "/to"
    assert max(Counter(sms.number for sms in arrived).values()) == 1
    # Each its own code.
    assert len({sms.content for sms in arrived}) == 49
    (failed,) = caller.listed(f"batch_id={batch}&status=failed")
    assert failed["reason"] == "hard_bounce"
    assert "13900139000" not in failed["reason_detail"]


def test_what_is_scheduled_goes_at_its_time_and_what_is_cancelled_never(channels, caller):
    soon = caller.try_to_send("sms", to="13800138007", delay_seconds=2, **CODE)
    later = caller.try_to_send("sms", to="13800138008", delay_seconds=3600, **CODE)
    cancelled = caller.ask(f"messages/{later.body['id']}/cancel", {})
    again = caller.ask(f"messages/{later.body['id']}/reschedule", {"delay_seconds": 0})

    message = caller.wait(soon.body["id"], status="success")
    assert (soon.body["status"], later.body["status"]) == ("scheduled", "scheduled")
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    assert (again.status, again.body["code"]) == (409, "conflict")
    taken_at = datetime.fromisoformat(message["finished_at"])
    assert taken_at >= datetime.fromisoformat(soon.body["due_at"])
    assert len(channels.sms.sent_to("13800138007")) == 1
    assert channels.sms.sent_to("13800138008") == []


def test_the_same_request_again_gets_the_same_answer_and_sends_nothing(channels, caller):
    body = {"to": "13800138009", **CODE}

    first = caller.ask("messages/sms/send", body, Idempotency_Key="login-4711")
    again = caller.ask("messages/sms/send", body, Idempotency_Key="login-4711")
    other = caller.ask("messages/sms/send", body | {"locale": "en"}, Idempotency_Key="login-4711")

    caller.wait(first.body["id"], status="success")
    assert (first.status, again.status) == (202, 202)
    assert again.body == first.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status, other.body["code"]) == (422, "idempotency_key_reused")
    assert len(channels.sms.sent_to("13800138009")) == 1


# --- WeChat Work ---------------------------------------------------------------------------------


def test_members_get_it_and_who_is_none_is_named_in_the_timeline(channels, caller):
    sent = caller.send("wechat", to=["zhangsan", "Nobody", "party:2"], content="The build is green")

    message = caller.wait(sent, status="success")
    (attempt,) = caller.attempts(sent)
    (arrival,) = (a for a in channels.wecom.arrived if a.text == "The build is green")
    assert message["sender"] == "wecom-1"
    assert attempt["refused"] == [{"recipient": "to/1", "code": "invaliduser"}]
    assert attempt["provider_message_id"]
    assert arrival.to == "zhangsan|party:2"
    # Neither by id in the story.
    assert "Nobody" not in str(caller.entries(sent))


def test_a_markdown_arrives_as_one(channels, caller):
    text = '# 发布完成\n> <font color="info">v2.1</font> is **live**'
    sent = caller.send("wechat", to="lisi", message_type="markdown", content=text)

    caller.wait(sent, status="success")
    (arrival,) = (a for a in channels.wecom.arrived if a.text == text)
    assert (arrival.to, arrival.details["msgtype"]) == ("lisi", "markdown")


def test_a_robot_is_called_by_its_name_and_mentions_members(channels, caller):
    sent = caller.send("wechat", to="robot:ops-robot", content="db-1 is down", mentions=["@all"])
    unknown = caller.try_to_send("wechat", to="robot:no-robot", content="db-1 is down")

    message = caller.wait(sent, status="success")
    (arrival,) = (a for a in channels.wecom.arrived if a.text == "db-1 is down")
    assert message["sender"] == "ops-robot"
    assert (arrival.to, arrival.details["mentioned_list"]) == ("Operations", ["@all"])
    assert (unknown.status, unknown.body["errors"][0]["code"]) == (422, "unknown_sender")


def test_the_21st_message_of_a_minute_to_a_robot_waits_and_none_is_refused(channels, caller):
    channels.until_early_in_a_minute()
    items = [{"to": "robot:build-robot", "content": f"Build {n}"} for n in range(21)]
    batch = caller.batch("wechat", items)["batch_id"]

    caller.wait_for_batch(batch, success=20, pending=1)
    (waiting,) = caller.listed(f"batch_id={batch}&status=pending")
    next_at = caller.ask(f"messages/{waiting['id']}/timeline").body["next_at"]
    sender = caller.ask("senders/build-robot").body
    channels.wecom.a_minute_passes()
    channels.a_minute_passes()
    caller.wait_for_batch(batch, success=21)

    assert (waiting["reason"], sender["state"]) == ("no_sender", "spent")
    assert "quota" in waiting["reason_detail"]
    assert datetime.fromisoformat(next_at) < datetime.now(UTC) + timedelta(seconds=65)
    texts = channels.wecom.posted_to("Builds")
    assert sorted(texts) == sorted(f"Build {n}" for n in range(21))
    assert channels.wecom.codes[BUILDS] == [0] * 21


def test_a_robot_rests_if_its_providers_minute_began_later_than_ours_and_loses_nothing(
    channels, caller
):
    channels.until_early_in_a_minute()
    channels.wecom.a_minute_passes()
    channels.a_minute_passes()
    items = [{"to": "robot:ops-robot", "content": f"Alarm {n}"} for n in range(20)]
    batch = caller.batch("wechat", items)["batch_id"]
    caller.wait_for_batch(batch, success=20)

    # Our clock shows a new minute, and the provider counts the last sixty seconds.
    channels.a_minute_passes()
    sent = caller.send("wechat", to="robot:ops-robot", content="Alarm 20")
    waiting = caller.wait(sent, reason="no_sender")
    robot = caller.ask("senders/ops-robot").body
    channels.wecom.a_minute_passes()
    channels.a_minute_passes()
    caller.wait(sent, status="success")

    first, second = caller.attempts(sent)
    assert (first["outcome"], first["provider_code"]) == ("sender", "45009")
    assert (waiting["status"], robot["state"]) == ("pending", "benched")
    refused_at = datetime.fromisoformat(first["finished_at"])
    assert datetime.fromisoformat(robot["until"]) > refused_at + timedelta(seconds=55)
    assert second["outcome"] == "accepted"
    assert channels.wecom.codes[OPERATIONS].count(45009) == 1
    assert channels.wecom.posted_to("Operations").count("Alarm 20") == 1


# --- WeChat Official Account ---------------------------------------------------------------------


@pytest.fixture(params=["plain", "encrypted"])
def account(request, channels):
    """An application, to whose account WeChat posts in this way."""
    return channels.listen(is_encrypted=request.param == "encrypted")


def test_a_paid_order_is_told_and_reported_as_delivered_once(channels, account):
    status, said, wanted = channels.official.greet()
    sent = account.send("wechat-official", to=ANN, url="https://example.com/orders/4711", **ORDER)
    account.wait(sent, status="success")

    # Each event twice, as WeChat does when it missed our answer.
    answers = channels.official.post_events(times=2)

    message = account.wait(sent, feedback="delivered")
    arrival = channels.official.arrived[-1]
    assert (status, said) == (200, wanted)
    assert answers == [200, 200]
    assert arrival.to == ANN
    assert set(arrival.text.splitlines()) == {
        *("character_string1: 4711", "thing2: Tea", "amount3: 7.4元", "time4: 2026-11-22 09:30")
    }
    assert arrival.details["url"] == "https://example.com/orders/4711"
    assert [entry["status"] for entry in account.entries(sent, "feedback")] == ["delivered"]
    assert message["history"][-1]["status"] == "delivered"


def test_who_blocks_the_account_bounces_and_is_not_suppressed(channels, account):
    channels.official.blocking = {BOB}
    sent = account.send("wechat-official", to=BOB, **ORDER)
    account.wait(sent, status="success")

    answers = channels.official.post_events()

    account.wait(sent, feedback="bounced")
    (news,) = account.entries(sent, "feedback")
    assert answers == [200]
    assert "user block" in news["detail"]
    # WeChat knows when they change their mind; we do not.
    again = account.send("wechat-official", to=BOB, **ORDER)
    account.wait(again, status="success")


# --- chats ---------------------------------------------------------------------------------------


def test_a_chat_is_called_by_the_name_of_its_sender(channels, caller):
    sent = caller.send(
        "chat", to="ops-chat", title="db-1", content="Disk is 95 % full", severity="warning"
    )
    unknown = caller.try_to_send("chat", to="no-chat", content="Disk is 95 % full")

    message = caller.wait(sent, status="success")
    (arrival,) = (a for a in channels.chat.arrived if a.title == "db-1")
    assert message["sender"] == "ops-chat"
    assert (arrival.to, arrival.text) == ("releases", "Disk is 95 % full")
    assert (unknown.status, unknown.body["errors"][0]["code"]) == (422, "unknown_sender")


# --- access tokens -------------------------------------------------------------------------------


def test_all_threads_share_one_token_and_fetch_one_more_when_it_ends(channels, caller):
    wecom, official = channels.wecom, channels.official

    def send_twenty_each(word: str) -> None:
        """At once, through several connections."""
        batches = [
            caller.batch(
                "wechat", [{"to": f"member{n}", "content": f"{word} {n}"} for n in range(20)]
            ),
            caller.batch(
                "wechat_official",
                [{"to": f"oMember-Follows_WeChat{n:06}", "reference": word} for n in range(20)],
                defaults=ORDER,
            ),
        ]
        for batch in batches:
            caller.wait_for_batch(batch["batch_id"], success=20)

    wecom.asked_by.clear()
    send_twenty_each("First")
    fetched = (wecom.token_fetches, official.token_fetches)
    wecom.invalidate_tokens()
    official.invalidate_tokens()
    send_twenty_each("Second")

    assert len(wecom.asked_by) > 1
    # With all tests that ran before, and for two senders of the Official Account.
    assert fetched == (1, 1)
    assert (wecom.token_fetches, official.token_fetches) == (2, 2)
    assert (official.forced_refreshes, official.plain_token_fetches) == (0, 0)


# --- what is left behind -------------------------------------------------------------------------


def test_neither_logs_nor_redis_tell_secrets_tokens_recipients_or_texts(channels, caller):
    """Of whatever ran before, too."""
    sent = caller.send("sms", to="13800138010", **CODE)
    members = caller.send("wechat", to="wangwu", content="Of no interest to logs")
    caller.wait(sent, status="success")
    caller.wait(members, status="success")

    logs = "".join(channels.log(name) for name in ("web", "worker", "beat"))
    cached = everything_in_redis(channels.environment["REDIS_URL"], channels.database)

    words = ["13800138010", "482913", "wangwu", "Of no interest", *channels.secrets()]
    assert [word for word in words if word in logs or word in cached] == []
    assert ":token:" in cached
