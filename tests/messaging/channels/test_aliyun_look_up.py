"""What the provider says of a hand-over when it is asked, and what it reports by itself."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.test import RequestFactory

from messaging.channels import aliyun_sms, http_api
from messaging.channels.aliyun_reports import as_called, as_e164, read_posted
from messaging.channels.aliyun_sms import AliyunSms
from messaging.channels.base import DeliveryError, Handed, Standing
from messaging.channels.reports import ForgedReport, UnreadableReport
from notification_platform.embedded.providers.aliyun import AliyunSmsServer
from notification_platform.embedded.providers.server import Act, Answer
from tests.messaging.channels.aliyun import CALLED, NUMBER, sms_account, sms_content
from tests.messaging.channels.http_contract import outbound_of


@pytest.fixture
def provider():
    with AliyunSmsServer() as running:
        yield running


@pytest.fixture
def adapter(provider):
    adapter = AliyunSms(sms_account(provider))
    yield adapter
    adapter.close()


def handed(attempt_id="attempt-1", *, ago=timedelta(minutes=2), to=NUMBER):
    return Handed(attempt_id, to, datetime.now(UTC) - ago)


def send(adapter, attempt_id="attempt-1", **content):
    outbound = outbound_of(sms_content(**content))
    return adapter.send(type(outbound)(attempt_id, outbound.message_id, outbound.content))


# --- look_up -------------------------------------------------------------------------------------


def test_what_was_taken_is_found_before_the_carrier_says_anything(adapter):
    send(adapter)

    found = adapter.look_up(handed())

    assert (found.standing, found.news) == (Standing.TAKEN, ())


@pytest.mark.parametrize(
    ("code", "kind", "suppress"),
    [
        ("DELIVERED", "delivered", ""),
        ("UNDELIV", "bounced", ""),
        ("MK:0001", "bounced", "hard_bounce"),
    ],
)
def test_what_became_of_it_is_told(provider, adapter, code, kind, suppress):
    receipt = send(adapter)
    provider.settle(provider.sent[0], code)
    asked = Handed("attempt-1", NUMBER, datetime.now(UTC), receipt.provider_message_id)

    found = adapter.look_up(asked)

    (news,) = found.news
    assert (found.standing, found.provider_message_id) == (
        Standing.TAKEN,
        receipt.provider_message_id,
    )
    assert (news.kind, news.suppress, news.recipient) == (kind, suppress, NUMBER)
    assert news.attempt_id == "attempt-1"
    assert code in news.words


def test_what_it_does_not_know_of_is_absent_only_after_a_while(adapter):
    send(adapter, "another")

    assert adapter.look_up(handed()).standing is Standing.ABSENT
    assert adapter.look_up(handed(ago=timedelta(seconds=30))).standing is Standing.UNSURE


def test_what_is_not_visible_yet_is_unsure_and_then_found(provider, adapter):
    send(adapter)
    provider.is_blind = True
    assert adapter.look_up(handed(ago=timedelta(seconds=30))).standing is Standing.UNSURE

    provider.is_blind = False

    assert adapter.look_up(handed(ago=timedelta(seconds=40))).standing is Standing.TAKEN


def test_what_is_longer_ago_than_it_remembers_is_unsure(adapter):
    assert adapter.look_up(handed(ago=timedelta(days=40))).standing is Standing.UNSURE


def test_it_is_found_on_a_later_page(provider, adapter):
    send(adapter)
    for number in range(60):
        send(adapter, f"later-{number}")
    before = provider.requests

    assert adapter.look_up(handed()).standing is Standing.TAKEN
    assert adapter.look_up(handed("unknown")).standing is Standing.ABSENT
    assert provider.requests - before >= 4


def test_an_answer_that_is_not_whole_leaves_it_unsure(provider, adapter, monkeypatch):
    for number in range(60):
        send(adapter, f"other-{number}")
    monkeypatch.setattr(aliyun_sms, "MOST_PAGES", 1)

    assert adapter.look_up(handed()).standing is Standing.UNSURE


@pytest.mark.parametrize(
    "answer",
    [
        {"Code": "OK"},
        {"Code": "OK", "TotalCount": "x", "SmsSendDetailDTOs": {"SmsSendDetailDTO": []}},
        {"Code": "OK", "TotalCount": "3", "SmsSendDetailDTOs": {"SmsSendDetailDTO": []}},
        {"Code": "OK", "TotalCount": "1", "SmsSendDetailDTOs": []},
    ],
)
def test_an_answer_in_another_form_leaves_it_unsure(provider, adapter, answer):
    provider.script = Answer.of(answer)

    assert adapter.look_up(handed()).standing is Standing.UNSURE


@pytest.mark.parametrize("script", [Answer(500, "{}"), *Act])
def test_who_cannot_be_asked_says_so(provider, adapter, script, monkeypatch):
    monkeypatch.setattr(http_api, "ASKING_TIMEOUT", (0.3, 0.3))
    monkeypatch.setattr(http_api, "ASKING_SECONDS", 0.3)
    provider.script = script

    with pytest.raises(DeliveryError):
        adapter.look_up(handed())


@pytest.mark.parametrize(
    ("handed_at", "taken_at"),
    [
        # China's midnight is at 16:00 in Greenwich.
        (datetime(2026, 6, 1, 15, 59, 58, tzinfo=UTC), datetime(2026, 6, 1, 16, 0, 2, tzinfo=UTC)),
        (datetime(2026, 6, 1, 16, 0, 2, tzinfo=UTC), datetime(2026, 6, 1, 15, 59, 58, tzinfo=UTC)),
        (datetime(2026, 6, 1, 3, tzinfo=UTC), datetime(2026, 6, 1, 3, tzinfo=UTC)),
        (datetime(2026, 6, 1, 20, tzinfo=UTC), datetime(2026, 6, 1, 20, tzinfo=UTC)),
    ],
)
def test_it_is_looked_for_on_the_day_that_it_was_in_china(provider, adapter, handed_at, taken_at):
    send(adapter)
    provider.sent[0].at = taken_at

    found = adapter.look_up(Handed("attempt-1", NUMBER, handed_at))

    assert found.standing is Standing.TAKEN


def test_the_same_number_is_asked_for_abroad(adapter):
    send(adapter, to=[("", "+13105550123")])

    assert adapter.look_up(handed(to="+13105550123")).standing is Standing.TAKEN


# --- reports -------------------------------------------------------------------------------------

REPORT = {
    "phone_number": CALLED,
    "send_time": "2026-11-23 20:00:00",
    "report_time": "2026-11-23 20:00:07",
    "success": True,
    "err_code": "DELIVERED",
    "err_msg": "用户接收成功",
    "sms_size": "1",
    "biz_id": "12345^0",
    "out_id": "attempt-1",
}


def read(*reports):
    return read_posted(json.dumps(reports).encode())


def test_a_report_says_of_which_attempt_and_which_number():
    (news,) = read(REPORT)

    assert (news.kind, news.attempt_id, news.provider_message_id) == (
        "delivered",
        "attempt-1",
        "12345^0",
    )
    assert news.recipient == NUMBER
    assert news.at == datetime(2026, 11, 23, 12, 0, 7, tzinfo=UTC)


def test_a_report_holds_many():
    bounced = {**REPORT, "success": False, "err_code": "MK:0001", "out_id": "attempt-2"}

    one, two = read(REPORT, bounced)

    assert (one.kind, two.kind, two.suppress) == ("delivered", "bounced", "hard_bounce")
    assert one.key != two.key


@pytest.mark.parametrize("code", ["UNDELIV", "MK:0005", "EXPIRED", "IS_CLOSED", "1", ""])
def test_a_code_that_may_mean_anything_suppresses_nobody(code):
    (news,) = read({**REPORT, "success": False, "err_code": code})

    assert (news.kind, news.suppress) == ("bounced", "")


def test_a_repeat_and_what_is_asked_for_are_the_same_news(provider, adapter):
    send(adapter)
    provider.settle(provider.sent[0])
    (asked,) = adapter.look_up(handed()).news

    (told,) = read(provider.sent[0].report())

    assert told.key == asked.key == read(provider.sent[0].report())[0].key


@pytest.mark.parametrize(
    "body", [b"", b"[", b"{}", b"[1]", b'[{"success": "yes"}]', b"[" * 50_000, b"\xff", b"null"]
)
def test_what_is_no_report_is_unreadable(body):
    with pytest.raises(UnreadableReport):
        read_posted(body)


def test_only_what_can_be_a_report_is_kept(provider):
    account = sms_account(provider)

    def check(body):
        request = RequestFactory().post("/", data=body, content_type="application/json")
        AliyunSms.check_report(request, account)

    check("[]")
    with pytest.raises(ForgedReport):
        check('{"phone_number": ""}')


@pytest.mark.parametrize(
    "number", [NUMBER, "+85291234567", "+447700900123", "+12125550123", "+13105550123"]
)
def test_numbers_come_back_as_they_went(number):
    assert as_e164(as_called(number)) == number


@pytest.mark.parametrize("called", ["8613912345678", "+8613912345678", "008613912345678", CALLED])
def test_the_mainland_is_known_however_it_is_written(called):
    assert as_e164(called) == NUMBER
