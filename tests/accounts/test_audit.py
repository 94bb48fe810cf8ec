"""Who did what: everything that changes something says so, and nobody unsays it."""

import pytest
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.models import Action, ApiKey, AuditEntry
from messaging.models import Suppression
from tests.conftest import browser_of
from tests.factories import (
    make_api_key,
    make_application,
    make_message,
    make_operator,
    make_sender,
    make_staff,
    make_suppression,
    make_version,
)

pytestmark = pytest.mark.django_db

LIST = reverse("admin:accounts_auditentry_changelist")
By = AuditEntry.By


def entries(**conditions):
    rows = AuditEntry.objects.filter(**conditions).exclude(action__startswith="log")
    return [(one.by, one.actor, one.action, one.object_type) for one in rows.order_by("pk")]


# --- who writes it -------------------------------------------------------------------------------


def test_what_is_added_changed_and_deleted_in_the_admin(operator):
    name = operator.user.username
    add = reverse("admin:auth_group_add")
    operator.post(add, {"name": "readers"}, headers={"X-Request-ID": "req-1"})
    group = Group.objects.get(name="readers")
    operator.post(reverse("admin:auth_group_change", args=[group.pk]), {"name": "writers"})

    operator.post(reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"})

    assert entries() == [
        (By.OPERATOR, name, Action.ADDED, "auth.group"),
        (By.OPERATOR, name, Action.CHANGED, "auth.group"),
        (By.OPERATOR, name, Action.DELETED, "auth.group"),
    ]
    added, changed, deleted = AuditEntry.objects.filter(object_type="auth.group").order_by("pk")
    assert (added.request_id, changed.details) == ("req-1", {"fields": ["Name"]})
    assert (deleted.object_id, deleted.object_label) == (str(group.pk), "writers")


def test_what_buttons_do(operator, adapter):
    key, sender, version = make_api_key(), make_sender(), make_version()
    message = make_message(status="failed")

    operator.post(reverse("admin:messaging_sender_do", args=[sender.pk, "pause"]))
    operator.post(reverse("admin:accounts_apikey_rotate", args=[key.pk]))
    operator.post(reverse("admin:accounts_apikey_revoke", args=[key.pk]))
    operator.post(
        reverse("admin:templates_app_templateversion_publish", args=[version.pk]),
        {"change_note": "first"},
    )
    for deed in ("resend", "cancel"):
        confirmed = {"asked_at": timezone.now().isoformat()}
        operator.post(reverse(f"admin:messaging_message_{deed}", args=[message.pk]), confirmed)

    assert [(action, kind) for _by, _actor, action, kind in entries()] == [
        (Action.PAUSED, "messaging.sender"),
        (Action.ADDED, "accounts.apikey"),
        (Action.ROTATED, "accounts.apikey"),
        (Action.REVOKED, "accounts.apikey"),
        (Action.PUBLISHED, "templates_app.templateversion"),
        (Action.RESENT, "messaging.message"),
        (Action.CANCELLED, "messaging.message"),
    ]


def test_what_applications_change_by_the_api(api):
    created = api.post(
        "/api/v1/templates",
        {"code": "order", "subject": "Hello", "body": "<p>Hello</p>"},
        format="json",
    )
    api.post("/api/v1/templates/order/versions/1/publish", {"change_note": "x"}, format="json")
    hook = api.post("/api/v1/webhooks", {"url": "https://hooks.example.com/s3cret"}, format="json")
    api.delete(f"/api/v1/webhooks/{hook.json()['id']}")
    gone = api.post("/api/v1/suppressions", {"address": "ann@example.com"}, format="json")
    api.delete(f"/api/v1/suppressions/{gone.json()['id']}")
    api.post("/api/v1/suppressions/import", ["bob@example.com"], format="json")

    assert created.status_code == 201
    assert entries() == [
        (By.API_KEY, api.key.key_id, Action.ADDED, "templates_app.template"),
        (By.API_KEY, api.key.key_id, Action.PUBLISHED, "templates_app.templateversion"),
        (By.API_KEY, api.key.key_id, Action.ADDED, "messaging.webhookendpoint"),
        (By.API_KEY, api.key.key_id, Action.DELETED, "messaging.webhookendpoint"),
        (By.API_KEY, api.key.key_id, Action.ADDED, "messaging.suppression"),
        (By.API_KEY, api.key.key_id, Action.DELETED, "messaging.suppression"),
        (By.API_KEY, api.key.key_id, Action.IMPORTED, "messaging.suppression"),
    ]
    written = str(list(AuditEntry.objects.values_list("object_label", "details")))
    assert not any(word in written for word in ("s3cret", "ann@", "bob@", "Hello"))


def test_what_commands_do(monkeypatch):
    monkeypatch.setenv("LOGNAME", "root-of-this-machine")

    call_command("create_api_key", "billing")
    key = ApiKey.objects.get()
    call_command("rotate_api_key", key.key_id)
    call_command("revoke_api_key", key.key_id)
    call_command("set_limits", "billing", "--messages-per-day", "5")

    who = (By.COMMAND, "root-of-this-machine")
    assert entries() == [
        (*who, Action.ADDED, "accounts.application"),
        (*who, Action.ADDED, "accounts.apikey"),
        (*who, Action.ADDED, "accounts.apikey"),
        (*who, Action.ROTATED, "accounts.apikey"),
        (*who, Action.REVOKED, "accounts.apikey"),
        (*who, Action.CHANGED, "accounts.application"),
    ]


def test_logging_in_and_out_and_a_new_password():
    user = make_operator()
    browser = Client()
    login = {"username": user.username, "password": "tests"}
    browser.post(reverse("admin:login"), login)
    new = {"new_password1": "a-longer-one-7", "new_password2": "a-longer-one-7"}
    browser.post(reverse("admin:password_change"), {"old_password": "tests", **new})

    browser.post(reverse("admin:logout"))

    written = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert written == [Action.LOGGED_IN, Action.PASSWORD_CHANGED, Action.LOGGED_OUT]


def test_a_change_that_fails_leaves_no_entry_and_an_entry_that_fails_no_change(
    operator, monkeypatch
):
    sender = make_sender()

    def fail(**_):
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(audit, "record", fail)

    with pytest.raises(DatabaseError):
        operator.post(reverse("admin:messaging_sender_do", args=[sender.pk, "pause"]))

    sender.refresh_from_db()
    assert sender.is_active
    assert entries() == []


# --- nobody changes it ---------------------------------------------------------------------------


@pytest.mark.parametrize("statement", ["UPDATE {} SET actor = 'nobody'", "DELETE FROM {}"])
def test_the_database_refuses_to_change_it(statement):
    audit.record(by=audit.of_command(), action=Action.ADDED, obj=make_application())

    with (
        pytest.raises(DatabaseError, match="is not changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format("accounts_auditentry"))

    assert AuditEntry.objects.get().actor == audit.of_command().name


# --- how it is read ------------------------------------------------------------------------------


def shown(browser, **query):
    page = browser.get(LIST, query)
    assert page.status_code == 200
    return [row.pk for row in page.context["cl"].result_list]


def test_it_is_filtered_and_searched_by_what_one_knows(operator):
    application, key = make_application(), make_api_key()
    audit.record(by=audit.of_operator(operator.user, None), action=Action.CHANGED, obj=application)
    first = AuditEntry.objects.latest("pk").pk
    audit.record(
        by=audit.Actor(By.API_KEY, key.key_id, api_key_id=key.pk), action=Action.ADDED, obj=key
    )
    second = AuditEntry.objects.latest("pk").pk

    assert shown(operator)[:2] == [second, first]
    assert shown(operator, action=Action.CHANGED) == [first]
    assert shown(operator, object_type="accounts.apikey") == [second]
    assert first in shown(operator, operator=operator.user.pk, period="1h")
    assert second not in shown(operator, operator=operator.user.pk)
    assert shown(operator, q=key.key_id) == [second]
    assert shown(operator, q=f"accounts.application:{application.pk}") == [first]
    assert shown(operator, q="nothing like it") == []


def test_its_sentences_name_who_what_and_which(operator):
    sender = make_sender(name="mail-1")
    operator.post(reverse("admin:messaging_sender_do", args=[sender.pk, "pause"]))

    page = operator.get(LIST).content.decode()

    assert f"{operator.user.username}: paused, sender mail-1" in page
    assert f"{operator.user.username} logged in" in page


def test_a_page_of_an_object_leads_to_its_entries(operator):
    sender = make_sender()
    url = reverse("admin:messaging_sender_change", args=[sender.pk])
    link = f"{LIST}?q=messaging.sender%3A{sender.pk}"

    assert link in operator.get(url).content.decode()
    assert link not in browser_of(make_staff("view_sender")).get(url).content.decode()


def test_addresses_are_masked_in_it(operator):
    row = make_suppression(address="ann@example.com")

    operator.post(reverse("admin:messaging_suppression_delete", args=[row.pk]), {"post": "yes"})

    assert not Suppression.objects.exists()
    assert "ann@" not in AuditEntry.objects.get(action=Action.DELETED).object_label


def test_words_of_a_later_version_are_shown_as_they_are(operator):
    audit.record(by=audit.of_command(), action="teleported")
    row = AuditEntry.objects.get(action="teleported")

    page = operator.get(reverse("admin:accounts_auditentry_change", args=[row.pk]))

    assert "teleported" in page.content.decode()
