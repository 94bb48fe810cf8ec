"""The second step of a login."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from accounts import audit, second_factor
from accounts.models import Action, AuditEntry, SecondFactor
from tests.conftest import browser_of
from tests.factories import NOON, code_of, make_operator, make_staff, reloaded

pytestmark = pytest.mark.django_db

INDEX = reverse("admin:index")
LOGIN = reverse("admin:login")
CODE = reverse("login-code")
SET_UP = reverse("second-factor")
OFF = reverse("second-factor-off")
MESSAGES = reverse("admin:messaging_message_changelist")


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def user():
    return make_operator()


@pytest.fixture
def codes(user, clock):
    """The backup codes of `user`, whose second factor was set up a minute ago."""
    factor = second_factor.begin(user)
    made = second_factor.confirm(factor, code_of(user), by=audit.of_command())
    clock.shift(60)
    return made


def with_password(user):
    browser = Client()
    browser.post(LOGIN, {"username": user.username, "password": "tests"})
    return browser


def is_in(browser):
    return browser.get(INDEX).status_code == 200


def actions():
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


# --- set up --------------------------------------------------------------------------------------


def test_it_is_set_up_by_a_code_and_shows_ten_backup_codes_once(user):
    browser = browser_of(user)
    page = browser.get(SET_UP).content.decode()

    response = browser.post(SET_UP, {"code": code_of(user)})

    assert "<svg" in page
    assert 'src="http' not in page
    assert len(response.context["codes"].split()) == 10
    assert "no-store" in response["Cache-Control"]
    assert is_in(browser)
    assert browser.get(SET_UP)["Location"] == reverse("account")
    assert actions()[-1] == Action.SECOND_FACTOR_SET_UP


def test_a_wrong_code_sets_up_nothing_and_the_key_stays_the_same(user):
    browser = browser_of(user)
    secret = browser.get(SET_UP).context["secret"]

    response = browser.post(SET_UP, {"code": "000000"})

    assert response.context["form"].errors["code"]
    assert response.context["secret"] == secret
    assert second_factor.factor_of(user) is None
    assert is_in(with_password(user))


def test_neither_the_key_nor_a_backup_code_is_in_the_database(user, codes):
    factor = SecondFactor.objects.get()
    with connection.cursor() as cursor:
        cursor.execute("SELECT key, backup_hashes FROM accounts_secondfactor")
        stored = str(cursor.fetchone())

    assert factor.key.open() not in stored
    assert not any(code.replace("-", "") in stored for code in codes)
    assert not any(
        code in str(entry.details) for code in codes for entry in AuditEntry.objects.all()
    )


# --- log in --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("codes")
def test_the_password_alone_opens_no_page(user):
    browser = with_password(user)

    for url in (INDEX, MESSAGES, reverse("account"), OFF, reverse("admin:password_change")):
        assert browser.get(url)["Location"].startswith(LOGIN), url
    assert browser.get(f"{LOGIN}?next={MESSAGES}")["Location"].startswith(CODE)
    assert Action.LOGGED_IN not in actions()


@pytest.mark.usefixtures("codes")
def test_the_code_leads_to_where_one_wanted_to_go(user):
    browser = with_password(user)

    response = browser.post(CODE, {"code": code_of(user), "next": MESSAGES})

    assert response["Location"] == MESSAGES
    assert is_in(browser)
    assert actions()[-1] == Action.LOGGED_IN


@pytest.mark.usefixtures("codes")
def test_it_leads_nowhere_else(user):
    browser = with_password(user)

    response = browser.post(CODE, {"code": code_of(user), "next": "https://evil.example/"})

    assert response["Location"] == INDEX


def test_a_code_is_taken_once(user, codes):
    code = code_of(user)
    with_password(user).post(CODE, {"code": code})
    second = with_password(user)

    response = second.post(CODE, {"code": code})

    assert response.context["form"].errors["code"]
    assert not is_in(second)


def test_a_backup_code_is_taken_once_however_it_is_typed(user, codes):
    first, second = with_password(user), with_password(user)

    first.post(CODE, {"code": codes[0].upper().replace("-", " ")})
    second.post(CODE, {"code": codes[0]})

    assert is_in(first)
    assert not is_in(second)
    assert len(SecondFactor.objects.get().backup_hashes) == 9


@pytest.mark.usefixtures("codes")
def test_after_a_wrong_code_the_right_one_has_to_wait_and_longer_each_time(user, clock):
    browser = with_password(user)
    browser.post(CODE, {"code": "000000"})
    browser.post(CODE, {"code": code_of(user)})
    too_soon = is_in(browser)
    clock.shift(2)
    browser.post(CODE, {"code": "000000"})
    clock.shift(1)
    browser.post(CODE, {"code": code_of(user)})
    still_too_soon = is_in(browser)
    clock.shift(3)

    browser.post(CODE, {"code": code_of(user)})

    assert (too_soon, still_too_soon, is_in(browser)) == (False, False, True)
    assert Action.CODE_REFUSED in actions()


@pytest.mark.usefixtures("codes")
def test_sessions_that_were_open_before_it_was_set_up_are_asked_too(user):
    browser = browser_of(user)

    assert not is_in(browser)


@pytest.mark.usefixtures("codes")
def test_the_code_of_one_operator_opens_nothing_for_another(user):
    other = make_operator()
    factor = second_factor.begin(other)
    second_factor.confirm(factor, code_of(other), by=audit.of_command())
    browser = with_password(user)

    browser.post(CODE, {"code": code_of(other, later=1)})

    assert not is_in(browser)


@pytest.mark.usefixtures("codes")
def test_who_is_half_in_can_leave(user):
    browser = with_password(user)

    browser.post(reverse("login-leave"))

    assert browser.get(LOGIN).status_code == 200


# --- required ------------------------------------------------------------------------------------


def test_where_it_is_required_nothing_works_before_it_is_set_up(user, settings):
    settings.TWO_FACTOR = "required"
    browser = with_password(user)
    before = browser.get(MESSAGES).status_code, browser.get(f"{LOGIN}?next={MESSAGES}")["Location"]
    page = browser.get(SET_UP)

    response = browser.post(SET_UP, {"code": code_of(user), "next": MESSAGES})

    assert before == (302, f"{SET_UP}?next={MESSAGES.replace('/', '%2F')}")
    assert reverse("admin:messaging_sender_changelist") not in page.content.decode()
    assert response.context["next"] == MESSAGES
    assert is_in(browser)
    assert actions()[-2:] == [Action.SECOND_FACTOR_SET_UP, Action.LOGGED_IN]


def test_strangers_cannot_set_one_up():
    assert Client().get(SET_UP)["Location"].startswith(LOGIN)


# --- taken away ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("codes")
def test_turning_it_off_takes_the_password_and_a_code(user, clock):
    browser = with_password(user)
    browser.post(CODE, {"code": code_of(user)})
    clock.shift(60)
    browser.post(OFF, {"password": "wrong", "code": code_of(user)})
    browser.post(OFF, {"password": "tests", "code": "000000"})
    clock.shift(60)
    before = second_factor.factor_of(user)

    browser.post(OFF, {"password": "tests", "code": code_of(user)})

    assert before is not None
    assert second_factor.factor_of(user) is None
    assert is_in(browser)


@pytest.mark.usefixtures("codes")
def test_an_administrator_removes_that_of_a_lost_phone(user, operator):
    url = reverse("admin:accounts_user_remove_second_factor", args=[user.pk])
    asked = operator.get(url)

    operator.post(url)

    assert asked.status_code == 200
    assert second_factor.factor_of(user) is None
    entry = AuditEntry.objects.get(action=Action.SECOND_FACTOR_REMOVED)
    assert (entry.operator, entry.object_id) == (operator.user, str(user.pk))
    assert is_in(with_password(user))


@pytest.mark.usefixtures("codes")
def test_who_may_not_change_operators_cannot(user):
    browser = browser_of(make_staff("view_user"))

    response = browser.post(reverse("admin:accounts_user_remove_second_factor", args=[user.pk]))

    assert response.status_code == 403
    assert second_factor.factor_of(user) is not None


@pytest.mark.usefixtures("codes")
def test_the_command_line_removes_it_as_well(user, capsys):
    call_command("reset_two_factor", user.username)

    assert second_factor.factor_of(user) is None
    assert "password alone" in capsys.readouterr().out
    assert AuditEntry.objects.get(action=Action.SECOND_FACTOR_REMOVED).by == AuditEntry.By.COMMAND


def test_with_another_encryption_key_backup_codes_still_work(user, codes, settings):
    settings.CREDENTIALS_KEYS = ["b3RoZXItZmVybmV0LWtleS0wMDAwMDAwMDAwMDAwMDA="]
    browser = with_password(user)
    browser.post(CODE, {"code": "123456"})
    with time_machine.travel(NOON + timedelta(minutes=5), tick=False):
        browser.post(CODE, {"code": codes[0]})

        assert is_in(browser)


def test_the_last_use_is_known(user, codes):
    with_password(user).post(CODE, {"code": code_of(user)})

    assert reloaded(SecondFactor.objects.get()).last_used_at == NOON + timedelta(seconds=60)
    assert re.fullmatch(r"[a-z0-9]{5}-[a-z0-9]{5}", codes[0])
