"""How senders do, as an application sees it."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging.models import SenderWindow
from messaging.sender_report import report_on, usable_by
from messaging.simulation import simulator_id
from tests.conftest import client_for
from tests.factories import NOON, make_api_key, make_application, make_group, make_sender

pytestmark = pytest.mark.django_db
URL = "/api/v1/senders"


def reserved_for(*applications, **overrides):
    sender = make_sender(**overrides)
    sender.applications.set(applications)
    return sender


def report(sender, now=NOON):
    (found,) = usable_by(0).filter(pk=sender.pk)
    return report_on(found, now=now)


def test_a_sender_is_shown_with_how_it_does(api):
    make_sender(name="account-1", from_address="news@example.com", per_day=500)

    shown = api.get(f"{URL}/account-1").json()

    quotas = shown.pop("quotas")
    assert shown == {
        "name": "account-1",
        "channel": "email",
        "from_address": "news@example.com",
        "state": "active",
        "since": None,
        "until": None,
        "why": "It works.",
    }
    assert [(q["window"], q["used"], q["limit"], q["is_shared"]) for q in quotas] == [
        ("day", 0, 500, False)
    ]


def test_nothing_of_its_account_is_shown(api):
    make_sender(
        name="account-1",
        from_name="Hidden Name",
        options={"host": "hidden.example.com"},
        credentials={"password": "hidden-password"},
        last_failure_kind="credentials",
        last_failure_words="hidden words",
        last_failure_at=timezone.now(),
        benched_until=timezone.now() + timedelta(hours=1),
    )

    for url in (URL, f"{URL}/account-1"):
        page = api.get(url).content.decode()

        assert "account-1" in page
        assert "hidden" not in page.lower()


def test_secrets_are_not_even_read(api):
    make_sender(credentials={"password": "secret"})

    with CaptureQueriesContext(connection) as queries:
        api.get(URL)

    read = [q["sql"] for q in queries if 'FROM "messaging_sender"' in q["sql"]]
    assert read
    assert not any('"credentials"' in sql or '"options"' in sql for sql in read)


def test_those_reserved_for_others_and_the_simulator_are_not_there(api):
    own, other = api.key.application, make_application()
    reserved_for(name="for-all")
    reserved_for(own, name="ours")
    reserved_for(own, other, name="for-both")
    reserved_for(other, name="theirs")
    simulator_id("email")

    listed = api.get(URL).json()["results"]

    assert [sender["name"] for sender in listed] == ["for-both", "ours", "for-all"]
    assert api.get(f"{URL}/ours").status_code == 200
    for name in ("theirs", "simulator", "nobody", "a" * 100):
        answer = api.get(f"{URL}/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_list_has_pages_and_costs_the_same_for_many(api):
    def queries(url):
        with CaptureQueriesContext(connection) as counted:
            answer = api.get(url).json()
        return len(counted), answer

    make_sender(group=make_group())
    queries(URL)
    few, _ = queries(URL)
    for _ in range(10):
        make_sender(group=make_group())
    many, all_ = queries(URL)
    _, first = queries(f"{URL}?page_size=6")
    _, rest = queries(f"{URL}?page_size=6&cursor={first['next_cursor']}")

    assert few == many
    assert first["results"] + rest["results"] == all_["results"]
    assert (all_["total"], rest["has_more"]) == (11, False)


def test_another_scope_is_not_enough():
    client = client_for(make_api_key(scopes=["messages:read", "messages:send"]))

    answer = client.get(URL)

    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize(
    ("fields", "state", "since", "until", "why"),
    [
        ({}, "active", None, None, "It works."),
        ({"is_active": False}, "switched_off", None, None, "The operators have switched it off."),
        (
            {"benched_until": NOON + timedelta(minutes=3), "last_failure_at": NOON},
            "benched",
            NOON,
            NOON + timedelta(minutes=3),
            "It rests, because its credentials were refused.",
        ),
        (
            {"benched_until": NOON - timedelta(minutes=3)},
            "being_tried",
            NOON - timedelta(minutes=3),
            None,
            "It rested, because its credentials were refused; one message tries whether it works "
            "again.",
        ),
        (
            {"recovered_at": NOON - timedelta(minutes=1)},
            "recovering",
            NOON - timedelta(minutes=1),
            NOON + timedelta(minutes=3),
            "It failed lately and takes 20 % of its share for now.",
        ),
    ],
)
def test_each_state_says_since_when_until_when_and_why(fields, state, since, until, why):
    shown = report(make_sender(last_failure_kind="credentials", **fields))

    assert (shown.state, shown.since, shown.until, shown.why) == (state, since, until, why)


def test_it_is_as_before_once_it_has_recovered():
    sender = make_sender(recovered_at=NOON)
    until = report(sender).until

    assert report(sender, until - timedelta(seconds=1)).state == "recovering"
    assert report(sender, until).state == "active"


def test_a_spent_sender_says_which_limit_and_when_the_last_of_them_ends():
    sender = make_sender(per_minute=1, per_hour=10, per_day=2, time_zone="Asia/Shanghai")
    for window in ("minute", "day"):
        started_at = sender.window_start(window, NOON)
        SenderWindow.objects.create(sender=sender, window=window, started_at=started_at, used=2)

    shown = report(sender)

    midnight = datetime.fromisoformat("2026-11-24T00:00:00+08:00")
    assert (shown.state, shown.until) == ("spent", midnight)
    assert shown.why == "It used up its limit per minute."
    assert [(use.window, use.used, use.limit) for use in shown.quotas] == [
        ("minute", 2, 1),
        ("hour", 0, 10),
        ("day", 2, 2),
    ]


def test_a_day_ends_at_midnight_also_when_the_clocks_change():
    sender = make_sender(time_zone="Europe/Berlin")
    now = datetime.fromisoformat("2026-10-25T12:00:00+01:00")

    (day,) = report(sender, now).quotas

    assert day.ends_at == datetime.fromisoformat("2026-10-26T00:00:00+01:00")


def test_the_limits_of_its_group_are_shown_as_shared_and_count():
    group = make_group(name="hidden-group", per_hour=3)
    sender = make_sender(group=group)
    started_at = group.window_start("hour", NOON)
    SenderWindow.objects.create(group=group, window="hour", started_at=started_at, used=3)

    shown = report(sender)

    assert [(use.window, use.used, use.limit, use.is_shared) for use in shown.quotas] == [
        ("day", 0, None, False),
        ("hour", 3, 3, True),
        ("day", 0, None, True),
    ]
    assert (shown.state, shown.until) == ("spent", started_at + timedelta(hours=1))
    assert shown.why == "Its senders together used up the limit per hour that they share."
