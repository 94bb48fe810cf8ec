"""Too many failed logins."""

import pytest
import time_machine
from axes.models import AccessAttempt
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from accounts.models import Action, AuditEntry
from tests.conftest import browser_of
from tests.factories import NOON, make_operator, make_staff

pytestmark = pytest.mark.django_db

LOGIN = reverse("admin:login")
LIST = reverse("admin:axes_accessattempt_changelist")


@pytest.fixture(autouse=True)
def clock(settings):
    settings.AXES_FAILURE_LIMIT = 3
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def user():
    return make_operator(username="ann")


def log_in(password="tests", *, address="192.0.2.1", username="ann", **headers):
    browser = Client(REMOTE_ADDR=address, headers=headers)
    response = browser.post(LOGIN, {"username": username, "password": password})
    return response.status_code


def fail(times=3, **options):
    return [log_in("wrong", **options) for _ in range(times)]


def actions():
    return list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))


def test_the_last_failure_that_is_allowed_locks_out_and_says_until_when(user):
    assert fail() == [200, 200, 429]

    browser = Client(REMOTE_ADDR="192.0.2.1", headers={"X-Requested-With": "XMLHttpRequest"})
    response = browser.post(LOGIN, {"username": "ann", "password": "tests"})

    page = response.content.decode()
    assert response.status_code == 429
    assert response["Content-Type"].startswith("text/html")
    assert "12:15" in page
    assert "UTC" in page


def test_it_ends_when_it_said_however_often_somebody_tries_meanwhile(user, clock):
    fail()
    clock.shift(14 * 60)
    meanwhile = [*fail(2), log_in()]
    clock.shift(61)

    assert meanwhile == [429, 429, 429]
    assert log_in() == 302


def test_from_another_address_the_operator_gets_in(user):
    fail()

    assert log_in(address="192.0.2.2") == 302


def test_one_address_does_not_lock_others_names_out(user):
    make_operator(username="bob")
    fail()

    assert log_in(username="bob") == 302


def test_a_success_forgets_the_failures(user):
    fail(2)
    log_in()

    assert fail(2) == [200, 200]


def test_all_of_an_ipv6_network_is_one_address(user):
    fail(2, address="2001:db8:1:2::1")

    assert log_in("wrong", address="2001:db8:1:2:3::4") == 429


def test_without_proxies_of_ours_a_claimed_address_counts_for_nothing(user):
    states = [log_in("wrong", **{"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(3)]

    assert states == [200, 200, 429]


def test_behind_a_proxy_its_word_counts_and_what_stands_left_of_it_does_not(user, settings):
    settings.TRUSTED_PROXIES = 1
    for n in range(3):
        log_in("wrong", **{"X-Forwarded-For": f"203.0.113.{n}, 198.51.100.7"})

    assert log_in(**{"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}) == 429
    assert log_in(**{"X-Forwarded-For": "198.51.100.7, 203.0.113.9"}) == 302


def test_another_browser_at_the_same_address_is_no_way_round(user):
    states = [log_in("wrong", **{"User-Agent": f"browser {n}"}) for n in range(3)]

    assert states == [200, 200, 429]


def test_the_audit_log_has_the_failures_and_the_lock_out_and_nothing_of_strangers(user):
    fail()
    fail(5)
    fail(username="my-Passw0rd-typed-here")

    assert actions() == [*[Action.LOGIN_FAILED] * 3, Action.LOCKED_OUT]
    assert {entry.actor for entry in AuditEntry.objects.all()} == {"ann"}


def test_an_administrator_lets_in_again(user, operator):
    fail()
    page = operator.get(LIST).content.decode()
    chosen = [row.pk for row in AccessAttempt.objects.all()]

    operator.post(LIST, {"action": "let_in", "_selected_action": chosen})

    assert "192.0.2.1" in page
    assert "12:15:00" in page
    assert log_in() == 302
    assert AuditEntry.objects.get(action=Action.LET_IN).actor == operator.user.username


def test_who_may_only_look_cannot(user):
    fail()
    browser = browser_of(make_staff("view_accessattempt"))

    browser.post(LIST, {"action": "let_in", "_selected_action": [AccessAttempt.objects.get().pk]})

    assert log_in() == 429


def test_the_command_line_can(user):
    fail()

    call_command("axes_reset_username", "ann")

    assert log_in() == 302
    assert AuditEntry.objects.get(action=Action.LET_IN).by == AuditEntry.By.COMMAND


def test_passwords_are_in_no_row(user):
    fail(username="ann")

    assert not any("wrong" in str(row) for row in AccessAttempt.objects.values_list())
