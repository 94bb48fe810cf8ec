from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from core.ids import lowest_uuid7
from messaging.models import OtherRecipient
from tests.factories import NOON, drain, make_application, make_message, make_sender

URL = "/api/v1/messages"


@pytest.fixture
def message_of(api):
    def make(**fields):
        return make_message(application=api.key.application, **fields)

    return make


def ids(response):
    assert response.status_code == 200, response.json()
    return [row["id"] for row in response.json()["results"]]


def test_the_newest_comes_first_and_pages_fit_together(api, message_of):
    made = [str(message_of().pk) for _ in range(5)][::-1]

    first = api.get(URL, {"page": 1, "page_size": 2})
    second = api.get(URL, {"page": 2, "page_size": 2})
    by_cursor = api.get(URL, {"cursor": first.json()["next_cursor"], "page_size": 2})

    assert ids(first) + ids(second) == made[:4]
    assert ids(by_cursor) == ids(second)
    assert (first.json()["total"], first.json()["total_is_exact"]) == (5, True)
    assert first.json()["has_more"] is True


def test_the_last_page_says_so(api, message_of):
    message_of()

    body = api.get(URL).json()

    assert (body["has_more"], body["next_cursor"]) == (False, None)


def test_only_the_own_messages_are_there(api, message_of):
    mine, foreign = message_of(), make_message(application=make_application())

    assert ids(api.get(URL)) == [str(mine.pk)]
    assert api.get(f"{URL}/{foreign.pk}").status_code == 404


def test_filter_by_status_as_it_is_shown(api, message_of):
    later = timezone.now() + timedelta(hours=1)
    made = {
        "success": message_of(status="success"),
        "pending": message_of(due_at=timezone.now() - timedelta(seconds=1)),
        "scheduled": message_of(due_at=later),
        "retrying": message_of(due_at=later, reason="temporary_failure", tries=1),
    }

    found = {shown: ids(api.get(URL, {"status": shown})) for shown in made}

    assert found == {shown: [str(message.pk)] for shown, message in made.items()}
    for shown, message in made.items():
        assert api.get(f"{URL}/{message.pk}").json()["status"] == shown


def test_filter_by_any_recipient_whatever_its_case(api, message_of):
    first = message_of(recipient="ann@example.com")
    copied = message_of(recipient="bob@example.com")
    OtherRecipient.objects.create(message=copied, role="cc", address="ann@example.com")
    message_of(recipient="carl@example.com")

    assert ids(api.get(URL, {"recipient": "Ann@example.com"})) == [str(copied.pk), str(first.pk)]


def test_filter_by_reference(api, message_of):
    message_of()
    found = message_of(reference="order-1")

    assert ids(api.get(URL, {"reference": "order-1"})) == [str(found.pk)]


def test_filter_by_time_takes_offsets_even_unescaped(api, message_of):
    def made_at(moment):
        pk = lowest_uuid7(moment)
        return str(message_of(pk=pk, created_at=moment).pk)

    made_at(NOON - timedelta(hours=2))
    middle = made_at(NOON)
    made_at(NOON + timedelta(hours=2))
    after, before = "2026-11-23T19:00:00+08:00", "2026-11-23T13:00:00Z"

    escaped = api.get(URL, {"created_after": after, "created_before": before})
    unescaped = api.get(f"{URL}?created_after={after}&created_before={quote(before)}")

    assert ids(escaped) == ids(unescaped) == [middle]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"status": "done"}, "?status"),
        ({"page": "0"}, "?page"),
        ({"page": "x"}, "?page"),
        ({"page": "²"}, "?page"),
        ({"page": "600"}, "?page"),
        ({"page_size": "101"}, "?page_size"),
        ({"cursor": "???"}, "?cursor"),
        ({"cursor": "AAAA", "page": "1"}, "?cursor"),
        ({"created_after": "2026-11-23"}, "?created_after"),
        ({"created_before": "2026-11-23T10:00:00"}, "?created_before"),
        ({"created_after": "9999-99-99T99:99:99Z"}, "?created_after"),
        ({"recipient": "a\x00b"}, "?recipient"),
        ({"sender": "x"}, "?sender"),
    ],
)
def test_a_wrong_parameter_is_named(api, query, name):
    response = api.get(URL, query)

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [name]


def test_the_detail_tells_the_story(api, message_of, adapter):
    make_sender(name="mail-1")
    message = message_of()
    drain()

    body = api.get(f"{URL}/{message.pk}").json()

    assert [step["status"] for step in body["history"]] == ["pending", "sending", "success"]
    assert body["sender"] == "mail-1"
    assert body["to"] == ["ann@example.com"]
    assert body["html"] == "<p>Hello</p>"


def test_an_id_that_is_none_is_404(api):
    response = api.get(f"{URL}/nothing")

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_the_list_asks_the_same_number_of_queries_for_any_number_of_rows(
    api, message_of, django_assert_num_queries
):
    for _ in range(3):
        message_of(sender=make_sender())
    api.get(URL)  # Writes the key's last use.

    # The key, the capped count, the page.
    with django_assert_num_queries(3):
        api.get(URL)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["created_after", "created_before"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:01:00Z", "9999-12-31T23:59:59Z"])
def test_a_moment_at_the_end_of_the_calendar_is_no_fault_of_ours(api, name, moment):
    response = api.get("/api/v1/messages", {name: moment})

    assert response.status_code == 200
