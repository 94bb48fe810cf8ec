"""Sending by the API, for tests."""

from datetime import timedelta

from django.utils import timezone

from messaging.models import Message

NUMBER = "+8613800138000"
OPEN_ID = "oABCD0123456789_example-id00"


def send(client, path, **fields):
    return client.post(f"/api/v1/messages/{path}/send", fields)


def refusals(answer):
    assert answer.status_code == 422, answer.json()
    return {(error["pointer"], error["code"]) for error in answer.json()["errors"]}


def stored(answer):
    assert answer.status_code == 202, answer.json()
    return Message.objects.get(pk=answer.json()["id"])


def in_a_moment():
    return timezone.now() + timedelta(seconds=1)
