"""Many messages in one request."""

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from messaging import batches
from messaging.models import Batch, Event, Message, OtherRecipient
from tests.conftest import client_for
from tests.factories import make_api_key, make_message, make_version
from tests.messaging.test_idempotency import at_once

URL = "/api/v1/messages/batch"
TEXT = {"subject": "Hello", "content": "<p>Hello</p>"}


def people(count):
    return [{"to": f"customer-{number}@example.com"} for number in range(count)]


def send(api, items, **overrides):
    body = {"defaults": TEXT, "items": items} | overrides
    headers = {"Idempotency-Key": body.pop("key")} if "key" in body else {}
    return api.post(URL, body, headers=headers)


def test_each_item_becomes_a_message_and_has_its_result_in_order(
    api, bells, django_capture_on_commit_callbacks
):
    items = [*people(3), {"to": ["a@example.com", "b@example.com"], "priority": "high"}]
    with django_capture_on_commit_callbacks(execute=True):
        answer = send(api, items)

    told, batch = answer.json(), Batch.objects.get()
    assert answer.status_code == 202
    assert told["batch_id"] == str(batch.pk)
    assert [result["index"] for result in told["results"]] == [0, 1, 2, 3]
    stored = {str(message.pk): message for message in Message.objects.filter(batch=batch)}
    in_order = [stored[result["id"]] for result in told["results"]]
    assert [m.recipient for m in in_order] == [
        *(person["to"] for person in people(3)),
        "a@example.com",
    ]
    assert in_order[3].lane == "high"
    assert OtherRecipient.objects.get().address == "b@example.com"
    assert sorted(bells) == [("email", "high"), ("email", "normal")]
    assert (batch.accepted, batch.rejected, batch.deduplicated) == (4, 0, 0)
    assert batch.request_id == in_order[0].request_id == answer.headers["X-Request-ID"]


def test_everything_of_a_message_is_stored_as_by_a_single_send(api):
    asked = {
        "to": "Ann <ann@example.com>",
        "reference": "order-1",
        "metadata": {"order": "1"},
        "tags": ["receipt"],
        "policy": "at_most_once",
        "delay_seconds": 3600,
    }
    send(api, [asked])
    api.post("/api/v1/messages/email/send", TEXT | asked | {"reference": "order-2"})

    by_batch, single = Message.objects.order_by("pk")
    moments = {"created_at", "send_at", "due_at", "expires_at"}
    differ = {"id", "reference", "batch_id", "request_id", *moments}
    for field in Message._meta.concrete_fields:
        if field.attname not in differ:
            assert getattr(by_batch, field.attname) == getattr(single, field.attname), field.attname
    for moment in moments:
        apart = getattr(by_batch, moment) - getattr(single, moment)
        assert abs(apart.total_seconds()) < 5, moment


def test_in_partial_mode_the_wrong_ones_say_why_and_the_others_go(api):
    answer = send(
        api,
        [
            people(1)[0],
            {"to": "nobody"},
            {"to": "c@example.com", "template_code": "nothing"},
            {"to": "d@example.com", "idempotency_key": "k"},
            {"to": "e@example.com", "colour": "red"},
        ],
    )

    results = answer.json()["results"]
    assert answer.status_code == 202
    assert [result["status"] for result in results] == ["accepted"] + ["rejected"] * 4
    assert results[1]["error"]["errors"][0]["pointer"] == "/to"
    assert results[4]["error"]["errors"][0]["pointer"] == "/colour"
    assert "idempotency_key" in results[3]["error"]["detail"]
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (1, 4)
    assert Message.objects.count() == 1


def test_items_that_are_no_objects_refuse_the_request_and_are_all_named(api):
    answer = send(api, [people(1)[0], None, "x", ["y"]])

    errors = answer.json()["errors"]
    assert answer.status_code == 422
    assert {(error["pointer"], error["code"]) for error in errors} == {
        (f"/items/{index}", "invalid") for index in (1, 2, 3)
    }
    assert not Message.objects.exists()


def test_all_or_nothing_names_everything_that_is_wrong_and_stores_nothing(api):
    answer = send(
        api,
        [people(1)[0], {"to": "nobody"}, {"to": "x@example.com", "x": 1}],
        mode="all_or_nothing",
    )

    told = answer.json()
    assert (answer.status_code, told["code"]) == (422, "invalid_request")
    assert {e["pointer"] for e in told["errors"]} == {"/items/1/to", "/items/2/x"}
    assert "2 of 3" in told["detail"]
    assert not Message.objects.exists()
    assert not Batch.objects.exists()


def test_a_template_is_rendered_for_each_and_looked_up_once(api):
    version = make_version(status="published", subject="{{ greeting }} {{ name }}")
    items = [
        {"to": f"c{number}@example.com", "variables": {"name": f"N{number}"}}
        for number in range(20)
    ]
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = api.post(
            URL,
            {
                "template_code": version.template.code,
                "defaults": {"variables": {"greeting": "Hi"}},
                "items": items,
            },
        )

    assert answer.json()["accepted"] == 20
    subjects = set(Message.objects.values_list("content__subject", flat=True))
    assert subjects == {f"Hi N{number}" for number in range(20)}
    found = [q for q in queries if "FROM templates_app_template " in q["sql"]]
    assert len(found) == 1


def test_the_statements_do_not_grow_with_the_items(api):
    def statements(count, label):
        with CaptureQueriesContext(connection) as queries:
            send(api, [one | {"reference": label} for one in people(count)])
        return len(queries)

    few, many = statements(2, "a"), statements(50, "b")
    assert many <= few or connection.vendor != "postgresql"


def test_duplicates_are_found_within_it_and_before_it(api):
    before = send(api, people(1)).json()["results"][0]["id"]
    answer = send(api, [*people(2), *people(2)])

    told = answer.json()
    ids = [result["id"] for result in told["results"]]
    assert [result["deduplicated"] for result in told["results"]] == [True, False, True, True]
    assert ids[0] == ids[2] == before
    assert ids[1] == ids[3]
    assert (told["accepted"], told["deduplicated"]) == (1, 3)
    assert Message.objects.count() == 2
    assert Event.objects.filter(kind="duplicate").count() == 3


def test_what_failed_before_is_taken_again(api):
    send(api, people(3))
    Message.objects.filter(recipient="customer-1@example.com").update(
        status="failed", reason="rejected", finished_at=timezone.now()
    )

    told = send(api, people(3)).json()
    again = send(api, people(3)).json()

    assert [result["deduplicated"] for result in told["results"]] == [True, False, True]
    assert [result["deduplicated"] for result in again["results"]] == [True, True, True]
    assert again["results"][1]["id"] == told["results"][1]["id"]


def test_with_an_idempotency_key_the_whole_batch_is_answered_once(api):
    first, again = send(api, people(3), key="b1"), send(api, people(3), key="b1")
    other = send(api, people(4), key="b1")

    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert other.json()["code"] == "idempotency_key_reused"
    assert (Batch.objects.count(), Message.objects.count()) == (1, 3)


def test_a_dry_run_checks_every_item_and_stores_nothing(api):
    answer = send(api, [*people(1), {"to": "nobody"}], dry_run=True)

    assert answer.status_code == 200
    assert answer.json()["batch_id"] is None
    assert [result["status"] for result in answer.json()["results"]] == ["accepted", "rejected"]
    assert not Message.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"items": []}, "/items"),
        ({"items": people(1001)}, "/items"),
        ({"items": {"to": "a@example.com"}}, "/items"),
        ({"items": people(1), "defaults": []}, "/defaults"),
        ({"items": people(1), "defaults": {"dry_run": True}}, "/defaults"),
        ({"items": people(1), "mode": "some"}, "/mode"),
        ({"items": people(1), "channel": "pigeon"}, "/channel"),
        ({"items": people(1), "colour": "red"}, "/colour"),
        ({}, "/items"),
    ],
)
def test_what_is_wrong_with_the_batch_itself_is_named(api, body, pointer):
    answer = api.post(URL, body)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_it_is_followed_and_listed(api):
    batch_id = send(api, people(5)).json()["batch_id"]
    send(api, people(2), defaults=TEXT | {"subject": "Other"})
    pks = list(Message.objects.filter(batch=batch_id).values_list("pk", flat=True))
    Message.objects.filter(pk=pks[0]).update(status="success", finished_at=timezone.now())
    Message.objects.filter(pk=pks[1]).update(reason="temporary_failure")

    followed = api.get(f"/api/v1/batches/{batch_id}").json()
    listed = api.get("/api/v1/batches").json()
    messages = api.get(f"/api/v1/messages?batch_id={batch_id}&status=success").json()

    assert followed["messages"] == {"success": 1, "retrying": 1, "pending": 3}
    assert [one["accepted"] for one in listed["results"]] == [2, 5]
    assert [one["id"] for one in messages["results"]] == [str(pks[0])]
    assert messages["results"][0]["batch_id"] == batch_id


def test_cancelling_it_cancels_what_is_not_sent_yet(api):
    batch_id = send(api, people(5)).json()["batch_id"]
    one = Message.objects.filter(batch=batch_id).first()
    Message.objects.filter(pk=one.pk).update(status="success", finished_at=timezone.now())

    answer = api.post(f"/api/v1/batches/{batch_id}/cancel")

    told = answer.json()
    assert (answer.status_code, told["cancelled"]) == (200, 4)
    assert told["messages"] == {"success": 1, "cancelled": 4}
    assert told["cancelled_at"] is not None
    assert api.post(f"/api/v1/batches/{batch_id}/cancel").json()["cancelled"] == 0
    assert Event.objects.filter(kind="cancelled").count() == 4


def test_foreign_batches_are_not_there(api):
    theirs = send(client_for(make_api_key()), people(1)).json()["batch_id"]

    assert api.get(f"/api/v1/batches/{theirs}").status_code == 404
    assert api.post(f"/api/v1/batches/{theirs}/cancel").status_code == 404
    assert api.get(f"/api/v1/messages?batch_id={theirs}").json()["results"] == []


@pytest.mark.django_db(transaction=True)
def test_what_the_database_did_not_take_is_not_there_at_all(monkeypatch, bells):
    api = client_for(make_api_key())
    api.raise_request_exception = False

    def full(*args, **kwargs):
        raise OperationalError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(batches, "others_of", full)
        assert send(api, people(3)).status_code == 503

    assert not Batch.objects.exists()
    assert not Message.objects.exists()
    assert bells == []
    assert send(api, people(3)).json()["accepted"] == 3


@pytest.mark.django_db(transaction=True)
def test_of_many_batches_at_once_each_message_is_stored_once():
    key = make_api_key()
    wanted = people(30)

    def one(number):
        items = wanted[number:] + wanted[:number]
        return send(client_for(key), items)

    answers = at_once(8, one)

    assert {answer.status_code for answer in answers} == {202}
    assert Message.objects.count() == 30
    assert sum(answer.json()["accepted"] for answer in answers) == 30


def test_a_full_batch_is_taken_and_one_of_ten_megabytes_is_read(api):
    full = send(api, people(1000))
    large = send(api, [{"to": "a@example.com", "content": "x" * 500_000}] * 4, defaults=TEXT)
    huge = send(api, [{"to": "a@example.com", "content": "x" * 500_000}] * 25, defaults=TEXT)

    assert full.json()["accepted"] == 1000
    assert (large.status_code, large.json()["deduplicated"]) == (202, 3)
    assert (huge.status_code, huge.json()["code"]) == (413, "payload_too_large")


def test_messages_of_no_batch_say_so(api):
    message = make_message(application=api.key.application)

    assert api.get(f"/api/v1/messages/{message.pk}").json()["batch_id"] is None
