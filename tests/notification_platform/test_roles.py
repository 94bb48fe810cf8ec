"""The table of docs/roles.md is what the code, the database and the pages say."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import SecondFactor, User
from messaging.callbacks import endpoints
from messaging.models import Sender
from notification_platform import roles
from notification_platform.roles import ROLES
from tests.conftest import browser_of
from tests.factories import (
    make_api_key,
    make_member,
    make_message,
    make_sender,
    make_suppression,
    make_version,
    reloaded,
)

pytestmark = pytest.mark.django_db

DOCS = Path(__file__).resolve().parents[2] / "docs" / "roles.md"


def table() -> dict[str, tuple[frozenset[str], dict[str, bool]]]:
    """Of each row its rights, and which roles have them."""
    lines = [line for line in DOCS.read_text("utf-8").splitlines() if line.startswith("| ")]
    names = [cell.strip() for cell in lines[0].strip("|").split("|")][2:]
    rows = {}
    for line in lines[1:]:
        what, rights, *marks = (cell.strip() for cell in line.strip("|").split("|"))
        assert set(marks) <= {"yes", ""}, what
        having = {name: mark == "yes" for name, mark in zip(names, marks, strict=True)}
        rows[what] = (frozenset(re.findall(r"`([\w.]+)`", rights)), having)
    return rows


ROWS = table()


def rights_of(group: Group) -> set[str]:
    rows = group.permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}


@pytest.fixture
def _groups():
    """As the migration makes them; tests that commit have emptied the table before."""
    roles.give(apps)


# --- the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_the_docs_say_what_the_code_says(role):
    said = [rights for rights, having in ROWS.values() if having[role]]

    assert frozenset().union(*said) == ROLES[role]


def test_each_right_stands_in_one_row():
    all_of_them = [right for rights, _having in ROWS.values() for right in rights]

    assert len(all_of_them) == len(set(all_of_them))
    assert {name for _rights, having in ROWS.values() for name in having} == set(ROLES)


@pytest.mark.usefixtures("_groups")
@pytest.mark.parametrize("role", ROLES)
def test_the_database_says_what_the_code_says(role):
    assert rights_of(Group.objects.get(name=role)) == ROLES[role]


@pytest.mark.django_db(transaction=True)
def test_the_migration_makes_the_groups_and_takes_them_away_again():
    Group.objects.create(name="readers")
    call_command("migrate", "notification_platform", "zero", verbosity=0)
    without = set(Group.objects.values_list("name", flat=True))
    Permission.objects.all().delete()

    call_command("migrate", "notification_platform", verbosity=0)

    assert without == {"readers"}
    made = {group.name: rights_of(group) for group in Group.objects.exclude(name="readers")}
    assert made == ROLES


@pytest.mark.usefixtures("_groups")
def test_what_operators_changed_stays_and_what_is_new_comes_to_whose_role_has_it(monkeypatch):
    viewer = Group.objects.get(name="Viewer")
    viewer.permissions.remove(Permission.objects.get(codename="view_message"))
    new = "messaging.delete_message"
    monkeypatch.setattr(roles, "ROLES", {**ROLES, "Viewer": ROLES["Viewer"] | {new}})

    roles.give(apps, [new])
    roles.give(apps)

    assert rights_of(viewer) == ROLES["Viewer"] - {"messaging.view_message"} | {new}
    assert rights_of(Group.objects.get(name="Operator")) == ROLES["Operator"]


def test_a_right_that_nobody_knows_is_not_given_in_silence():
    with pytest.raises(KeyError):
        _give_unknown()


def _give_unknown() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roles, "ROLES", {"Viewer": frozenset({"messaging.view_nothing"})})
        roles.give(apps, ["messaging.view_nothing"])


# --- the pages -----------------------------------------------------------------------------------


def opens(name: str, *args: Any) -> Callable[[Client], bool]:
    return lambda browser: _is_let_in(browser.get(reverse(f"admin:{name}", args=args)))


def _is_let_in(response: Any) -> bool:
    assert response.status_code in {200, 302, 403, 404}, response.status_code
    return response.status_code != 403


def post(url: str, data: Any = None) -> Callable[[Client], bool]:
    return lambda browser: _is_let_in(browser.post(url, data or {}))


def both(*checks: Callable[[Client], bool]) -> Callable[[Client], bool]:
    """The checks of one row agree."""

    def check(browser: Client) -> bool:
        answers = {one(browser) for one in checks}
        assert len(answers) == 1, "parts of a row differ"
        return answers.pop()

    return check


def can_pause(sender: Sender) -> Callable[[Client], bool]:
    """The button is there and works, or neither."""

    def check(browser: Client) -> bool:
        page = browser.get(reverse("admin:messaging_sender_change", args=[sender.pk]))
        url = reverse("admin:messaging_sender_do", args=[sender.pk, "pause"])
        let_in = _is_let_in(browser.post(url))
        assert (url in page.content.decode()) is let_in
        assert reloaded(sender).is_active is not let_in
        return let_in

    return check


def can_remove(factor_of: User) -> Callable[[Client], bool]:
    def check(browser: Client) -> bool:
        url = reverse("admin:accounts_user_remove_second_factor", args=[factor_of.pk])
        return _is_let_in(browser.post(url))

    return check


def can_let_in(browser: Client) -> bool:
    url = reverse("admin:axes_accessattempt_changelist")
    page = browser.get(url)
    return page.status_code == 200 and _offers(page, "let_in")


def _offers(page: Any, action: str) -> bool:
    return f'value="{action}"' in page.content.decode()


def offers(name: str, action: str) -> Callable[[Client], bool]:
    """An action of a list."""
    return lambda browser: _offers(browser.get(reverse(f"admin:{name}_changelist")), action)


def sees_contents(browser: Any) -> bool:
    return bool(browser.user.has_perm("messaging.see_contents"))


def checks_of_pages() -> dict[str, Callable[[Client], bool]]:
    """Of each row: whether a browser may do it."""
    message, sender, row = make_message(status="failed"), make_sender(), make_suppression()
    version, key = make_version(), make_api_key()
    other = User.objects.create_user("other", password="tests", is_staff=True)
    SecondFactor.objects.create(user=other, key="00" * 20)
    messages = "messaging_message"
    sender_page = "messaging_sender"
    published = reverse("admin:templates_app_templateversion_publish", args=[version.pk])
    download = reverse("admin:messaging_message_attachment", args=[message.pk, 0])
    AccessAttempt.objects.create(
        username="ann", failures_since_start=1, attempt_time=timezone.now()
    )
    hook = endpoints.create_endpoint(
        application_id=message.application_id,
        url="https://hooks.example.com/",
        description="",
        events=None,
    ).endpoint
    hook_page = "messaging_webhookendpoint"
    checks = {
        "See messages": both(
            *(
                opens(f"messaging_{model}_changelist")
                for model in ("message", "batch", "attempt", "event", "providerreport")
            ),
            opens(f"{messages}_change", message.pk),
        ),
        "See the suppression list": opens("messaging_suppression_changelist"),
        "See senders": both(
            opens(f"{sender_page}_change", sender.pk), opens("messaging_senderwindow_changelist")
        ),
        "See webhooks": both(
            opens(f"{hook_page}_change", hook.pk), opens("messaging_webhookdelivery_changelist")
        ),
        "See templates": both(
            opens("templates_app_template_changelist"),
            opens("templates_app_templateversion_change", version.pk),
        ),
        "Write and test": both(
            opens("templates_app_template_add"),
            post(reverse("admin:templates_app_template_draft", args=[version.template_id])),
        ),
        "Publish": post(published, {"change_note": "first"}),
        "See recipients": sees_contents,
        "Send messages again": both(
            post(reverse("admin:messaging_message_resend", args=[message.pk])),
            offers(messages, "resend_selected"),
        ),
        "Download": lambda browser: browser.get(download).status_code == 404,
        "Pause": can_pause(sender),
        "Add to and remove": both(
            opens("messaging_suppression_add"),
            opens("messaging_suppression_delete", row.pk),
            opens("messaging_suppression_take_in"),
        ),
        "Change, test and switch": post(
            reverse(f"admin:{hook_page}_switch", args=[hook.pk]), {"is_on": ""}
        ),
        "See applications": opens("accounts_application_changelist"),
        "Add and change senders": both(
            opens(f"{sender_page}_add"),
            post(reverse("admin:messaging_sender_do", args=[sender.pk, "rotate"])),
            opens("messaging_sendergroup_add"),
        ),
        "Add webhooks": both(opens(f"{hook_page}_add"), opens(f"{hook_page}_rotate", hook.pk)),
        "Add and change applications": opens("accounts_application_add"),
        "Issue": both(
            opens("accounts_apikey_add"),
            opens("accounts_apikey_rotate", key.pk),
            opens("accounts_apikey_revoke", key.pk),
        ),
        "Add and change operators": both(opens("accounts_user_add"), can_remove(other)),
        "Add, change and delete groups": both(
            opens("auth_group_add"), opens("auth_group_delete", Group.objects.create(name="x").pk)
        ),
        "See who is locked out": can_let_in,
        "Read the audit log": opens("accounts_auditentry_changelist"),
    }
    found = {what: [c for start, c in checks.items() if what.startswith(start)] for what in ROWS}
    assert all(len(chosen) == 1 for chosen in found.values()), found
    return {what: chosen[0] for what, chosen in found.items()}


@pytest.mark.usefixtures("_groups")
@pytest.mark.parametrize("role", ROLES)
def test_each_role_can_do_its_rows_and_no_others(role, adapter):
    browser = browser_of(make_member(role))

    answers = {what: check(browser) for what, check in checks_of_pages().items()}

    assert answers == {what: having[role] for what, (_rights, having) in ROWS.items()}
