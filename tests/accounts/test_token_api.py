from datetime import timedelta

import jwt
import pytest
import time_machine
from django.conf import settings
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.keys import revoke_key
from accounts.models import ApiKey
from tests.conftest import client_for
from tests.factories import make_api_key, make_issued_key

URL = "/api/v1/auth/token"
MESSAGES = "/api/v1/messages"

pytestmark = pytest.mark.django_db


def ask(issued, **changes):
    body = {"api_key": issued.key.key_id, "api_secret": issued.secret} | changes
    return APIClient().post(URL, body)


def test_a_key_and_its_secret_get_a_token_that_works():
    issued = make_issued_key()

    answer = ask(issued)

    token = answer.json()["access_token"]
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
    assert answer.json()["expires_in"] == 3600
    assert answer["Cache-Control"] == "no-store"
    assert client.get(MESSAGES).status_code == 200


def test_the_token_carries_only_ids():
    issued = make_issued_key()

    claims = jwt.decode(ask(issued).json()["access_token"], options={"verify_signature": False})

    assert claims["app"] == issued.key.application_id
    assert claims["key"] == issued.key.pk
    assert claims["ver"] == 1
    assert (claims["iss"], claims["aud"]) == ("notification-platform", "notification-platform-api")


def test_every_way_of_being_wrong_gets_the_same_answer():
    now = timezone.now()
    good = make_issued_key()
    revoked = make_issued_key()
    revoke_key(key=revoked.key, now=now)
    expired = make_issued_key(expires_at=now - timedelta(seconds=1))
    disabled = make_issued_key()
    disabled.key.application.is_active = False
    disabled.key.application.save()

    answers = [
        ask(good, api_secret="wrong"),
        ask(good, api_key="noti_live_unknown"),
        ask(revoked),
        ask(expired),
        ask(disabled),
    ]

    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert {answer.status_code for answer in answers} == {401}
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["code"] == "invalid_credentials"


def test_a_revoked_key_ends_its_tokens_at_once():
    key = make_api_key()
    client = client_for(key)
    assert client.get(MESSAGES).status_code == 200

    revoke_key(key=key, now=timezone.now())

    response = client.get(MESSAGES)
    assert (response.status_code, response.json()["code"]) == (401, "invalid_token")
    assert "invalid_token" in response["WWW-Authenticate"]


def test_a_disabled_application_ends_its_tokens_at_once():
    key = make_api_key()
    client = client_for(key)

    key.application.is_active = False
    key.application.save()

    assert client.get(MESSAGES).status_code == 401


def test_a_token_expires():
    client = client_for(make_api_key())

    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        response = client.get(MESSAGES)

    assert response.json()["code"] == "invalid_token"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"aud": "something"},
        {"token_type": "refresh"},
        {"ver": 2},
        {"key": 0},
        {"key": "x"},
        {"app": None},
        {"exp": None},
    ],
)
def test_a_token_of_another_make_is_refused(changes):
    issued = make_issued_key()
    claims = jwt.decode(ask(issued).json()["access_token"], options={"verify_signature": False})
    forged = {name: value for name, value in (claims | changes).items() if value is not None}
    token = jwt.encode(forged, settings.JWT_SIGNING_KEY, algorithm="HS256")
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")

    assert client.get(MESSAGES).status_code == 401


@pytest.mark.parametrize("algorithm", ["none", "HS512"])
def test_only_hs256_is_taken(algorithm):
    issued = make_issued_key()
    claims = jwt.decode(ask(issued).json()["access_token"], options={"verify_signature": False})
    key = None if algorithm == "none" else settings.JWT_SIGNING_KEY
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {jwt.encode(claims, key, algorithm=algorithm)}")

    assert client.get(MESSAGES).status_code == 401


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer a b", "Basic abc", "Bearer \xff"])
def test_a_header_that_is_no_token_is_401(header):
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)

    response = client.get(MESSAGES)

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_a_key_may_be_limited_to_networks():
    issued = make_issued_key(allowed_networks=["10.0.0.0/8"])
    outside = ask(issued)
    inside = APIClient(REMOTE_ADDR="10.1.2.3").post(
        URL, {"api_key": issued.key.key_id, "api_secret": issued.secret}
    )
    client = client_for(issued.key)

    assert (outside.status_code, outside.json()["code"]) == (403, "network_not_allowed")
    assert inside.status_code == 200
    assert client.get(MESSAGES).status_code == 403
    assert client.get(MESSAGES, REMOTE_ADDR="::ffff:10.1.2.3").status_code == 200


def test_only_the_entry_of_a_trusted_proxy_is_believed(settings):
    settings.TRUSTED_PROXIES = 1
    client = client_for(make_api_key(allowed_networks=["10.0.0.0/8"]))

    claimed = client.get(MESSAGES, headers={"X-Forwarded-For": "10.0.0.1, 203.0.113.9"})
    written = client.get(MESSAGES, headers={"X-Forwarded-For": "203.0.113.9, 10.0.0.1"})

    assert (claimed.status_code, written.status_code) == (403, 200)


def test_the_last_use_is_written_once_a_minute():
    key = make_api_key()
    client = client_for(key)
    client.get(MESSAGES)
    first = ApiKey.objects.get(pk=key.pk).last_used_at

    client.get(MESSAGES)

    assert first is not None
    assert ApiKey.objects.get(pk=key.pk).last_used_at == first


@pytest.mark.parametrize("body", [{}, {"api_key": 1, "api_secret": "x"}, {"api_key": "a" * 101}])
def test_a_malformed_request_names_its_fields(body):
    response = APIClient().post(URL, body)

    assert response.status_code == 422
    assert response.json()["errors"]


def test_the_secret_is_stored_nowhere():
    issued = make_issued_key()

    row = ApiKey.objects.filter(pk=issued.key.pk).values().get()

    assert issued.secret not in str(row)
    assert len(issued.secret) >= 43
