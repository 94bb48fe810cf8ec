"""Nobody lifts themselves: who may hand out which rights, and to whom."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.urls import reverse

from accounts.models import User
from notification_platform import roles
from notification_platform.roles import ROLES
from tests.conftest import browser_of
from tests.factories import make_application, make_member, make_operator, reloaded

pytestmark = pytest.mark.django_db


@pytest.fixture
def _groups():
    """As the migration makes them; tests that commit have emptied the table before."""
    roles.give(apps)


@pytest.fixture
def administrator(_groups):
    return browser_of(make_member("Administrator"))


def operator_page(user: User) -> str:
    return reverse("admin:accounts_user_change", args=[user.pk])


def operator_form(user: User, **changes: Any) -> dict[str, Any]:
    joined = user.date_joined
    fields = {
        "username": user.username,
        "is_active": "on",
        "is_staff": "on",
        "date_joined_0": f"{joined:%Y-%m-%d}",
        "date_joined_1": f"{joined:%H:%M:%S}",
        "groups": [group.pk for group in user.groups.all()],
    }
    return fields | changes


def test_an_administrator_puts_others_into_groups(administrator):
    other = make_member("Viewer")
    groups = [Group.objects.get(name=name).pk for name in ("Viewer", "Operator")]

    administrator.post(operator_page(other), operator_form(other, groups=groups))

    assert {group.name for group in other.groups.all()} == {"Viewer", "Operator"}


def test_an_administrator_makes_no_superuser_and_gives_no_rights_to_single_people(administrator):
    every = [row.pk for row in Permission.objects.all()]
    for user in (administrator.user, make_member("Viewer")):
        administrator.post(
            operator_page(user), operator_form(user, is_superuser="on", user_permissions=every)
        )

        assert not reloaded(user).is_superuser
        assert not user.user_permissions.exists()


def test_nobody_gets_into_a_group_with_more_rights_than_the_giver_has(administrator):
    wide = Group.objects.create(name="everything")
    wide.permissions.set(Permission.objects.all())
    user = administrator.user

    page = administrator.post(operator_page(user), operator_form(user, groups=[wide.pk]))

    assert "everything" in str(page.context["adminform"].form.errors["groups"])
    assert wide not in user.groups.all()


def test_no_group_gets_rights_that_the_giver_has_not(administrator):
    group = Group.objects.get(name="Administrator")
    every = [row.pk for row in Permission.objects.all()]

    page = administrator.post(
        reverse("admin:auth_group_change", args=[group.pk]),
        {"name": "Administrator", "permissions": every},
    )

    assert page.context["adminform"].form.errors["permissions"]
    assert group.permissions.count() == len(ROLES["Administrator"])


def test_superusers_are_not_an_administrators_to_change(administrator):
    boss = make_operator()
    password = reverse("admin:auth_user_password_change", args=[boss.pk])
    new = {"password1": "a-longer-one-7", "password2": "a-longer-one-7", "usable_password": "true"}

    states = [
        administrator.post(operator_page(boss), operator_form(boss)).status_code,
        administrator.post(password, new).status_code,
    ]

    assert states == [403, 403]
    assert reloaded(boss).check_password("tests")


def test_a_superuser_may_do_all_that(operator):
    roles.give(apps)
    other = make_operator()

    operator.post(operator_page(other), operator_form(other, groups=[]))

    assert not reloaded(other).is_superuser


def test_an_administrator_sets_a_new_password_for_a_viewer(administrator):
    other = make_member("Viewer")
    new = {"password1": "a-longer-one-7", "password2": "a-longer-one-7", "usable_password": "true"}

    administrator.post(reverse("admin:auth_user_password_change", args=[other.pk]), new)

    assert reloaded(other).check_password("a-longer-one-7")


@pytest.mark.usefixtures("_groups")
def test_applications_are_no_operators_business_to_change():
    application = make_application()
    browser = browser_of(make_member("Operator"))

    response = browser.post(
        reverse("admin:accounts_application_change", args=[application.pk]), {"name": "other"}
    )

    assert response.status_code == 403
