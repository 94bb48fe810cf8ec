"""The same request again gets the same answer, and nothing is sent twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection, transaction
from django.utils import timezone

from messaging import idempotency
from messaging.models import IdempotencyKey, Message, OtherRecipient
from tests.conftest import client_for
from tests.factories import make_api_key, make_version

URL = "/api/v1/messages/email/send"
BODY = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}


def send(api, body=BODY, key="order-4711"):
    return api.post(URL, body, headers={"Idempotency-Key": key} if key else {})


def test_the_same_again_gets_the_same_answer_byte_for_byte(api):
    first, again = send(api), send(api, dict(reversed(BODY.items())))

    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Content-Type"] == "application/json"
    assert Message.objects.count() == 1


def test_the_key_may_stand_in_the_body_and_is_the_same_there(api):
    first = send(api)
    again = send(api, BODY | {"idempotency_key": "order-4711"}, key=None)

    assert again.content == first.content


@pytest.mark.parametrize(
    ("header", "field", "pointer"),
    [
        ("", None, "header Idempotency-Key"),
        ("two words", None, "header Idempotency-Key"),
        ("k" * 256, None, "header Idempotency-Key"),
        ("schlüssel", None, "header Idempotency-Key"),
        (None, "", "/idempotency_key"),
        (None, "a\nb", "/idempotency_key"),
        (None, 7, "/idempotency_key"),
        ("one", "another", "/idempotency_key"),
    ],
)
def test_a_key_that_is_none_is_named(api, header, field, pointer):
    headers = {"Idempotency-Key": header} if header is not None else {}
    body = BODY | ({"idempotency_key": field} if field is not None else {})

    response = api.post(URL, body, headers=headers)

    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    assert not Message.objects.exists()


def test_another_body_with_the_key_is_refused_and_nothing_is_stored(api):
    send(api)

    other = send(api, BODY | {"subject": "Other"})

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Message.objects.count() == 1


def test_without_a_key_nothing_is_kept(api):
    send(api, key=None)

    assert not IdempotencyKey.objects.exists()


def test_keys_of_others_do_not_collide(api):
    theirs = client_for(make_api_key())

    assert send(api).json()["id"] != send(theirs).json()["id"]


def test_a_refusal_is_not_kept_so_that_it_can_be_put_right(api):
    refused = send(api, BODY | {"to": "nobody"})
    mended = send(api)

    assert (refused.status_code, mended.status_code) == (422, 202)


def test_what_was_accepted_is_answered_even_if_it_would_be_refused_by_now(api):
    version = make_version(status="published")
    body = {
        "to": "ann@example.com",
        "template_code": version.template.code,
        "variables": {"name": "Ann"},
    }
    first = send(api, body)
    version.template.archived_at = timezone.now()
    version.template.save()

    again = send(api, body)

    assert again.content == first.content


def test_a_key_is_kept_for_72_hours(api):
    first = send(api)
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=71))
    assert send(api).content == first.content

    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=73))
    anew = send(api, BODY | {"subject": "Next month"})

    assert anew.status_code == 202
    assert IdempotencyKey.objects.get().created_at > timezone.now() - timedelta(minutes=1)


def test_two_keys_are_two_messages_whatever_they_say(api):
    first, second = send(api, key="a"), send(api, key="b")

    assert first.json()["id"] != second.json()["id"]
    assert not second.json()["deduplicated"]


@pytest.mark.django_db(transaction=True)
def test_a_crash_before_the_answer_is_kept_leaves_nothing(monkeypatch, bells):
    api = client_for(make_api_key())
    api.raise_request_exception = False

    def die(*args, **kwargs):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "keep", die)
        assert send(api, BODY | {"cc": "bob@example.com"}).status_code == 500

    assert not Message.objects.exists()
    assert not OtherRecipient.objects.exists()
    assert bells == []
    assert send(api).status_code == 202
    assert bells == [("email", "normal")]


def at_once(count, call):
    """`call(number)` in as many threads, all beginning together; what each returned."""
    start = Barrier(count)

    def run(number):
        start.wait()
        try:
            return call(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_stored_and_the_others_get_its_answer():
    key = make_api_key()

    answers = at_once(16, lambda _: send(client_for(key)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert Message.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has one writer at a time")
def test_while_the_first_takes_too_long_the_second_is_told_to_come_again(monkeypatch):
    monkeypatch.setattr(idempotency, "_WAIT", "SET LOCAL lock_timeout = '200ms'")
    key = make_api_key()
    body = BODY
    keyed = idempotency.Keyed(
        key.application_id, False, "order-4711", idempotency.fingerprint_of(URL, body)
    )

    with transaction.atomic():
        idempotency.keep(keyed, idempotency.Answer(202, "{}"), now=timezone.now())
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(lambda: (send(client_for(key)), connection.close())[0]).result()

    assert (second.status_code, second.json()["code"]) == (409, "idempotency_key_in_use")
    assert second.headers["Retry-After"] == "1"
    assert not Message.objects.exists()


def test_a_key_that_is_null_in_the_body_is_refused_also_beside_a_header(api):
    letter = {"to": "ann@example.com", "subject": "Hello", "content": "Hello"}
    api.post(URL, letter, headers={"Idempotency-Key": "k"})

    answer = api.post(URL, letter | {"idempotency_key": None}, headers={"Idempotency-Key": "k"})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/idempotency_key"
