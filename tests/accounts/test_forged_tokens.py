"""Tokens that are not ours, or not as we issue them, by real requests."""

import base64
import hashlib
import hmac
import json
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.authentication import issue_token
from accounts.keys import revoke_key
from tests.factories import make_api_key

MESSAGES = "/api/v1/messages"

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(db):
    return make_api_key()


def claims_of(key) -> dict[str, Any]:
    return jwt.decode(issue_token(key), options={"verify_signature": False})


def answer_to(token):
    client = APIClient(raise_request_exception=False)
    return client.get(MESSAGES, headers={"Authorization": f"Bearer {token}"})


def assert_refused(token):
    response = answer_to(token)
    assert (response.status_code, response.json()["code"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in response["WWW-Authenticate"]


def signed(claims, *, secret=None, algorithm="HS256", headers=None):
    secret = settings.JWT_SIGNING_KEY if secret is None else secret
    return jwt.encode(claims, secret, algorithm=algorithm, headers=headers)


def b64(data):
    data = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_the_same_claims_signed_by_us_are_taken(key):
    assert answer_to(signed(claims_of(key))).status_code == 200


# --- the signature --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
@pytest.mark.parametrize("signature", ["", "x", "kept"])
def test_a_token_that_says_it_needs_no_signature(key, name, signature):
    ours = signed(claims_of(key))
    kept = ours.rpartition(".")[2] if signature == "kept" else signature

    assert_refused(f"{b64({'alg': name, 'typ': 'JWT'})}.{b64(claims_of(key))}.{kept}")


def test_a_token_without_its_signature(key):
    ours = signed(claims_of(key))

    assert_refused(ours.rpartition(".")[0])
    assert_refused(ours.rpartition(".")[0] + ".")


def test_claims_that_were_changed_after_signing(key):
    head, _, signature = signed(claims_of(key)).split(".")

    assert_refused(f"{head}.{b64(claims_of(key) | {'app': 1})}.{signature}")


@pytest.mark.parametrize(
    "secret", ["another-key-" + "0" * 60, "tests-jwt-key-" + "0" * 63, "notification-platform" * 2]
)
def test_another_key(key, secret):
    assert_refused(signed(claims_of(key), secret=secret))


def test_the_other_secrets_of_the_platform_sign_no_token(key):
    for secret in (settings.SECRET_KEY, settings.API_KEY_PEPPER):
        assert_refused(signed(claims_of(key), secret=secret))


def test_an_empty_key(key):
    head, body = b64({"alg": "HS256", "typ": "JWT"}), b64(claims_of(key))
    signature = hmac.new(b"", f"{head}.{body}".encode(), hashlib.sha256).digest()

    assert_refused(f"{head}.{body}.{b64(signature)}")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_our_key_by_another_algorithm(key, algorithm):
    assert_refused(signed(claims_of(key), algorithm=algorithm))


def test_a_key_pair_of_somebody_else(key):
    pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = pair.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = pair.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    assert_refused(jwt.encode(claims_of(key), private, algorithm="RS256"))
    # What a public key would be taken for, if the algorithm were the token's to choose.
    head, body = b64({"alg": "HS256", "typ": "JWT"}), b64(claims_of(key))
    signature = hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest()
    assert_refused(f"{head}.{body}.{b64(signature)}")


@pytest.mark.parametrize(
    "headers",
    [
        {"jwk": {"kty": "oct", "k": "YQ"}},
        {"jku": "https://example.com/keys"},
        {"kid": "../../dev/null"},
        {"x5u": "https://example.com/key"},
    ],
)
def test_a_key_that_the_token_brings_along_is_not_looked_at(key, headers):
    assert_refused(signed(claims_of(key), secret="a" * 64, headers=headers))


# --- the claims -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["app", "key", "ver", "iss", "aud", "exp", "iat", "token_type", "jti"]
)
def test_a_claim_that_is_missing(key, name):
    claims = claims_of(key)
    del claims[name]

    assert_refused(signed(claims))


@pytest.mark.parametrize("issuer", ["somebody", "", ["notification-platform"], 1, None])
def test_a_foreign_issuer(key, issuer):
    token = signed_raw(claims_of(key) | {"iss": issuer})

    assert_refused(token)


@pytest.mark.parametrize("audience", ["another-api", "", [], ["another-api"], 1, None])
def test_a_foreign_audience(key, audience):
    assert_refused(signed_raw(claims_of(key) | {"aud": audience}))


def signed_raw(claims):
    """As a library would sign it that does not look at what it signs."""
    head, body = b64({"alg": "HS256", "typ": "JWT"}), b64(claims)
    secret = settings.JWT_SIGNING_KEY.encode()
    signature = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{b64(signature)}"


@pytest.mark.parametrize("name", ["app", "key", "ver"])
@pytest.mark.parametrize(
    "value", [True, "1", 1.0, [1], {"id": 1}, -1, 0, 2**31, 2**63, 10**40, None, "' OR 1=1"]
)
def test_an_id_of_a_wrong_type_or_size(key, name, value):
    assert_refused(signed_raw(claims_of(key) | {name: value}))


@pytest.mark.parametrize("name", ["exp", "iat"])
@pytest.mark.parametrize("value", ["soon", [], {}, True, 1e300, 10**30, -1, None, ""])
def test_a_time_of_a_wrong_type_or_size(key, name, value):
    assert_refused(signed_raw(claims_of(key) | {name: value}))


@pytest.mark.parametrize(
    ("issued", "lasts"),
    [
        (0, 3601),  # A second longer than the platform issues.
        (0, 86_400 * 365),
        (-7200, 7201),
        (-7200, 3600),  # Over.
        (60, 3600),  # From the future.
        (3600, 3600),
    ],
)
def test_times_that_the_platform_does_not_issue(key, issued, lasts):
    begins = int(time.time()) + issued
    claims = claims_of(key) | {"iat": begins, "exp": begins + lasts}

    assert_refused(signed(claims))


def test_a_token_that_is_not_valid_yet(key):
    assert_refused(signed(claims_of(key) | {"nbf": int(time.time()) + 60}))
    assert_refused(signed_raw(claims_of(key) | {"nbf": "later"}))


def test_a_clock_that_is_some_seconds_ahead_is_forgiven(key):
    begins = int(time.time()) + 5

    assert (
        answer_to(signed(claims_of(key) | {"iat": begins, "exp": begins + 3600})).status_code == 200
    )


def test_a_shorter_lifetime_ends_longer_tokens(key, settings):
    token = issue_token(key)
    settings.TOKEN_LIFETIME_MINUTES = 5

    assert_refused(token)


@pytest.mark.parametrize("body", ["[]", "1", '"x"', "null", "{", ""])
def test_a_token_whose_body_is_no_object(body):
    head = b64({"alg": "HS256", "typ": "JWT"})
    secret = settings.JWT_SIGNING_KEY.encode()
    middle = b64(body.encode())
    signature = hmac.new(secret, f"{head}.{middle}".encode(), hashlib.sha256).digest()

    assert_refused(f"{head}.{middle}.{b64(signature)}")


# --- what it stands for ---------------------------------------------------------------------------


def test_the_application_of_another_key(key):
    assert_refused(signed(claims_of(key) | {"app": make_api_key().application_id}))


def test_a_token_is_worth_nothing_once_its_key_or_application_is_switched_off(key):
    """At once, which is within five seconds."""
    other = make_api_key()
    ours, theirs = issue_token(key), issue_token(other)
    assert answer_to(ours).status_code == answer_to(theirs).status_code == 200

    revoke_key(key=key, now=timezone.now())
    other.application.is_active = False
    other.application.save()

    assert_refused(ours)
    assert_refused(theirs)


def test_a_token_ends_with_its_key(key):
    token = issue_token(key)
    key.expires_at = timezone.now() - timedelta(seconds=1)
    key.save()

    assert_refused(token)


def test_a_token_of_an_older_version_of_its_key(key):
    token = issue_token(key)
    key.version += 1
    key.save()

    assert_refused(token)
