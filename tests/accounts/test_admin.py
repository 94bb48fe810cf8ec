import shlex
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from accounts.keys import authenticate_key
from accounts.models import ApiKey, User
from core.errors import DomainError
from tests.conftest import browser_of
from tests.factories import (
    make_api_key,
    make_application,
    make_issued_key,
    make_message,
    make_staff,
    reloaded,
)

pytestmark = pytest.mark.django_db

ADD = reverse("admin:accounts_apikey_add")


def change_url(key):
    return reverse("admin:accounts_apikey_change", args=[key.pk])


def key_form(**changes):
    fields = {
        "application": make_application().pk,
        "name": "billing",
        "kind": "live",
        "scopes": ["messages:send"],
        "allowed_networks": "10.0.0.0/8\r\n\r\n192.168.1.0/24",
        "expires_at_0": "",
        "expires_at_1": "",
    }
    return fields | changes


def authenticates(key, secret):
    try:
        authenticate_key(key_id=key.key_id, secret=secret, address=None, now=timezone.now())
    except DomainError as error:
        return str(error.code)
    return "yes"


def test_a_new_key_shows_its_secret_on_the_page_after_saving(operator):
    response = operator.post(ADD, key_form(allowed_networks=""))

    key = ApiKey.objects.get()
    secret = response.context["secret"]
    page = response.content.decode()
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert key.key_id in page
    assert secret in page
    assert "http://testserver/api/v1/auth/token" in page
    assert authenticates(key, secret) == "yes"


def test_the_secret_is_nowhere_else(operator):
    secret = operator.post(ADD, key_form()).context["secret"]
    key = ApiKey.objects.get()

    for url in (
        change_url(key),
        reverse("admin:accounts_apikey_changelist"),
        reverse("admin:index"),
    ):
        assert secret not in operator.get(url).content.decode()
    assert (
        secret
        not in operator.get(
            reverse("admin:accounts_apikey_history", args=[key.pk])
        ).content.decode()
    )
    assert not any(
        secret in entry.change_message + entry.object_repr for entry in LogEntry.objects.all()
    )
    assert not any(secret in str(session.get_decoded()) for session in Session.objects.all())


def test_scopes_and_networks_are_stored_as_lists(operator):
    operator.post(ADD, key_form())

    key = ApiKey.objects.get()
    assert key.scopes == ["messages:send"]
    assert key.allowed_networks == ["10.0.0.0/8", "192.168.1.0/24"]


def test_a_network_that_is_none_is_refused_at_its_field(operator):
    response = operator.post(ADD, key_form(allowed_networks="10.0.0.0/8\nnonsense"))

    assert "nonsense" in str(response.context["adminform"].form.errors["allowed_networks"])
    assert not ApiKey.objects.exists()


def test_a_key_without_a_scope_is_refused(operator):
    response = operator.post(ADD, key_form(scopes=[]))

    assert "scopes" in response.context["adminform"].form.errors


def test_later_only_name_and_rights_change(operator):
    key = make_api_key(name="before", kind="live")
    other = make_application()

    operator.post(change_url(key), key_form(name="after", kind="test", application=other.pk))

    changed = reloaded(key)
    assert (changed.name, changed.scopes) == ("after", ["messages:send"])
    assert (changed.kind, changed.application) == ("live", key.application)
    assert (changed.key_id, changed.secret_hash) == (key.key_id, key.secret_hash)


def test_its_history_names_fields_and_no_values(operator):
    key = make_api_key(name="before")

    operator.post(change_url(key), key_form(name="after-all", allowed_networks="10.9.8.0/24"))

    entry = LogEntry.objects.get()
    assert "Name" in entry.get_change_message()
    assert "after-all" not in entry.change_message
    assert "10.9.8.0" not in entry.change_message


def test_a_key_is_revoked_after_a_confirmation(operator):
    issued = make_issued_key()
    url = reverse("admin:accounts_apikey_revoke", args=[issued.key.pk])

    asked = operator.get(url)
    assert asked.status_code == 200
    assert reloaded(issued.key).revoked_at is None

    operator.post(url)
    assert authenticates(issued.key, issued.secret) == "invalid_credentials"


def test_a_rotated_key_shows_the_new_secret_and_the_old_one_goes_on_for_a_day(operator):
    issued = make_issued_key()
    url = reverse("admin:accounts_apikey_rotate", args=[issued.key.pk])

    assert operator.get(url).status_code == 200
    response = operator.post(url)

    successor = ApiKey.objects.get(replaces=issued.key)
    expires_at = reloaded(issued.key).expires_at
    assert expires_at is not None
    left = expires_at - timezone.now()
    assert authenticates(successor, response.context["secret"]) == "yes"
    assert authenticates(issued.key, issued.secret) == "yes"
    assert timedelta(hours=23) < left <= timedelta(days=1)
    assert "no-store" in response["Cache-Control"]
    assert not any(response.context["secret"] in e.change_message for e in LogEntry.objects.all())


def test_a_key_that_was_revoked_is_not_rotated(operator):
    key = make_api_key()
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())

    response = operator.post(reverse("admin:accounts_apikey_rotate", args=[key.pk]), follow=True)

    assert "not valid any more" in response.content.decode()
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("deed", ["rotate", "revoke"])
def test_who_may_only_look_changes_no_key(deed):
    key = make_api_key()
    browser = browser_of(make_staff("view_apikey"))

    assert browser.get(change_url(key)).status_code == 200
    url = reverse(f"admin:accounts_apikey_{deed}", args=[key.pk])
    assert browser.post(url).status_code == 403
    assert reloaded(key).revoked_at is None


def test_keys_and_applications_are_not_deleted(operator):
    key = make_api_key()

    for name, row in (("apikey", key), ("application", key.application), ("user", operator.user)):
        url = reverse(f"admin:accounts_{name}_delete", args=[row.pk])
        assert operator.post(url, {"post": "yes"}).status_code == 403


def test_an_operator_is_added_with_a_password(operator):
    password = "correct horse battery"

    response = operator.post(
        reverse("admin:accounts_user_add"),
        {
            "username": "ann",
            "password1": password,
            "password2": password,
            "usable_password": "true",
        },
    )

    assert response.status_code == 302
    assert User.objects.get(username="ann").check_password(password)


# --- applications and their keys -----------------------------------------------------------------

APPLICATIONS = reverse("admin:accounts_application_changelist")
KEYS = reverse("admin:accounts_apikey_changelist")


def page_of(application):
    return reverse("admin:accounts_application_change", args=[application.pk])


def test_the_printed_call_gets_a_token(operator, client):
    page = operator.post(ADD, key_form(allowed_networks=""))
    _, _, method, url, _, header, _, body = shlex.split(page.context["call"])

    answer = client.generic(
        method, urlsplit(url).path, body, content_type=header.removeprefix("Content-Type: ")
    )

    assert answer.status_code == 200
    assert answer.json()["access_token"]


def test_the_page_of_an_application_shows_use_limits_and_keys(operator):
    application = make_application(messages_per_day=40, requests_per_second=7)
    now = timezone.now()
    make_message(application=application, created_at=now)
    make_message(application=application, created_at=now, status="failed")
    make_message(status="failed")
    key = make_api_key(application=application, name="the till")
    other = make_api_key(name="of another")

    page = operator.get(page_of(application)).content.decode()

    assert "2 of 40, 38 left" in page
    assert page.count("2 accepted, 1 failed") == 2
    assert "7 requests a second" in page
    assert "40 messages a day." in page
    assert key.key_id in page
    assert other.key_id not in page
    assert f"{ADD}?application={application.pk}" in page
    assert f"?application={application.pk}" in page


def test_create_key_names_the_application(operator):
    application = make_application(name="Shop")

    page = operator.get(ADD, {"application": application.pk})

    assert page.context["adminform"].form.initial["application"] == str(application.pk)


def test_an_application_without_keys_says_what_that_means(operator):
    assert (
        "without one it cannot send" in operator.get(page_of(make_application())).content.decode()
    )


def test_who_may_not_see_keys_sees_none_of_them():
    key = make_api_key()
    browser = browser_of(make_staff("view_application"))

    page = browser.get(page_of(key.application)).content.decode()

    assert key.key_id not in page
    assert "Create key" not in page
    assert "Its messages" not in page


def test_the_list_of_applications_shows_todays_messages_keys_and_last_use(
    operator, django_assert_max_num_queries
):
    now = timezone.now()
    application = make_application(name="Shop", messages_per_day=9)
    make_message(application=application, created_at=now)
    used = make_api_key(application=application)
    ApiKey.objects.filter(pk=used.pk).update(last_used_at=now)
    make_api_key(application=application, expires_at=now - timedelta(days=1))

    with django_assert_max_num_queries(12):
        shown = operator.get(APPLICATIONS)

    [row] = shown.context["cl"].result_list
    assert "1 / 9" in shown.content.decode()
    assert (row.valid_keys, row.last_use) == (1, now)


def test_keys_are_narrowed_by_state(operator):
    now = timezone.now()
    old = now - timedelta(days=100)
    fresh = make_api_key(name="fresh")
    expiring = make_api_key(name="expiring", expires_at=now + timedelta(days=3))
    unused = make_api_key(name="unused")
    ApiKey.objects.filter(pk=unused.pk).update(created_at=old)
    expired = make_api_key(name="expired", expires_at=old)
    revoked = make_api_key(name="revoked")
    ApiKey.objects.filter(pk=revoked.pk).update(revoked_at=old)
    off = make_api_key(name="off", application=make_application(is_active=False))

    def found(state):
        return set(operator.get(KEYS, {"state": state}).context["cl"].result_list)

    assert found("valid") == {fresh, expiring, unused}
    assert found("expiring") == {expiring}
    assert found("unused") == {unused}
    assert found("expired") == {expired}
    assert found("revoked") == {revoked}
    assert found("switched_off") == {off}
    page = operator.get(KEYS).content.decode()
    assert page.count("not used for 90 days") == 1


def test_a_list_without_keys_says_what_a_key_is(operator):
    empty = operator.get(KEYS).content.decode()
    make_api_key()
    filled = operator.get(KEYS, {"state": "revoked"}).content.decode()

    assert "No keys yet" in empty
    assert "No keys yet" not in filled
