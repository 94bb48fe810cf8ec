"""What 202 promises: the message is in the database, whole, and for everybody to see."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from messaging import intake
from messaging.models import Message, OtherRecipient
from tests.conftest import client_for
from tests.factories import make_api_key

URL = "/api/v1/messages/email/send"
TO_ONE = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}
TO_TWO = TO_ONE | {"to": ["ann@example.com", "bob@example.com"]}


def out_of_order(*args, **kwargs):
    raise OperationalError("the disk is full")


def calm(client: APIClient) -> APIClient:
    """A client that shows the answer to an error, as a caller would see it."""
    client.raise_request_exception = False
    return client


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("body", [TO_ONE, TO_TWO], ids=["one", "two"])
def test_what_is_answered_with_202_is_seen_by_everybody(body):
    response = client_for(make_api_key()).post(URL, body)

    def seen_elsewhere():
        try:
            return [str(pk) for pk in Message.objects.values_list("pk", flat=True)]
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        seen = pool.submit(seen_elsewhere).result()

    assert response.status_code == 202
    assert seen == [response.json()["id"]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("body", [TO_ONE, TO_TWO], ids=["one", "two"])
def test_what_the_database_did_not_take_is_no_202_and_wakes_nobody(monkeypatch, bells, body):
    monkeypatch.setattr(intake, "insert_one", out_of_order)

    response = calm(client_for(make_api_key())).post(URL, body)

    assert response.status_code >= 500
    assert bells == []


@pytest.mark.django_db(transaction=True)
def test_a_message_is_stored_with_all_its_recipients_or_not_at_all(monkeypatch, bells):
    monkeypatch.setattr(OtherRecipient.objects, "bulk_create", out_of_order)

    response = calm(client_for(make_api_key())).post(URL, TO_TWO)

    assert response.status_code >= 500
    assert not Message.objects.exists()
    assert bells == []
