"""How operators see what a sender did, and what those may do who have no say in its settings."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from messaging.channels.base import SenderFailure
from messaging.models import SenderMove
from messaging.sender_health import Health
from messaging.sender_quotas import reserve
from tests.conftest import browser_of
from tests.factories import (
    make_application,
    make_attempts,
    make_group,
    make_message,
    make_sender,
    make_staff,
    reloaded,
)

pytestmark = pytest.mark.django_db

LIST = reverse("admin:messaging_sender_changelist")


def url_of(sender, page="change", *args):
    return reverse(f"admin:messaging_sender_{page}", args=[sender.pk, *args])


def settings_form(**changes):
    fields = {"name": "mail-1", "from_address": "mail-1@example.com", "is_active": "on"}
    fields |= {"priority": "0", "weight": "100", "time_zone": "UTC", "max_connections": "4"}
    return fields | changes


def test_who_may_operate_it_pauses_tests_and_mends_but_sees_and_saves_no_settings(adapter):
    sender = make_sender(credentials={"password": "s3cret-word"}, failures=3)
    browser = browser_of(make_staff("view_sender", "operate_sender"))

    page = browser.get(url_of(sender)).content.decode()
    saved = browser.post(url_of(sender), settings_form(name="renamed", secret_password="mine"))
    browser.post(url_of(sender, "do", "mend"))
    browser.post(url_of(sender, "do", "pause"))
    tested = browser.post(url_of(sender, "test"))
    rotated = browser.post(url_of(sender, "do", "rotate"))

    row = reloaded(sender)
    assert "Test connection" in page
    assert "Pause" in page
    assert "secret_password" not in page
    assert "s3cret-word" not in page
    assert 'name="_save"' not in page
    assert (saved.status_code, tested.status_code, rotated.status_code) == (403, 200, 403)
    assert (row.name, row.is_active, row.failures) == (sender.name, False, 0)
    assert row.open_credentials() == {"password": "s3cret-word"}
    assert LogEntry.objects.filter(object_id=str(sender.pk)).count() == 3


def test_who_may_operate_does_so_from_the_list_too(adapter):
    sender = make_sender(failures=2)
    browser = browser_of(make_staff("view_sender", "operate_sender"))

    for action in ("mend_selected", "pause_selected"):
        browser.post(LIST, {"action": action, "_selected_action": [sender.pk]})

    assert (reloaded(sender).failures, reloaded(sender).is_active) == (0, False)


def test_a_pause_says_how_many_messages_can_go_by_nobody_else(operator, adapter):
    shop, other = make_application(), make_application()
    only, rest = make_sender(name="only"), make_sender(name="rest")
    rest.applications.set([other])
    for _ in range(3):
        make_message(application=shop)
    make_message(application=other)
    make_message(application=other, only_sender=only)
    make_message(application=shop, status="success")

    told = operator.post(url_of(only, "do", "pause"), follow=True).content.decode()
    nothing = operator.post(url_of(rest, "do", "pause"), follow=True).content.decode()

    assert "4 messages can go by it only" in told
    assert "can go by it only: it waits" in nothing
    assert not reloaded(only).is_active


def test_a_pause_without_such_messages_says_nothing_of_them(operator, adapter):
    sender, _ = make_sender(), make_sender()
    make_message()

    told = operator.post(url_of(sender, "do", "pause"), follow=True).content.decode()

    assert "gets no more messages" in told
    assert "by it only" not in told


def test_pauses_stand_in_its_history_whichever_way_they_came(operator, adapter):
    sender = make_sender()

    operator.post(url_of(sender), settings_form(is_active=""))
    operator.post(url_of(sender, "do", "pause"))
    operator.post(url_of(sender, "do", "resume"))

    moves = sender.moves.order_by("pk").values_list("from_state", "to_state", "why")
    assert list(moves) == [
        ("working", "switched_off", "operator"),
        ("switched_off", "working", "operator"),
    ]


def test_its_page_shows_its_last_hour_quotas_errors_and_history(operator, adapter):
    sender, now = make_sender(per_day=10), timezone.now()
    sender.applications.set([make_application(name="Shop")])
    reserve(sender, 4, now=now)
    make_attempts(sender, outcome="sender", now=now, provider_code="421", provider_words="Slow")
    Health().failed(reloaded(sender), SenderFailure("blocked"), now=now)

    page = operator.get(url_of(sender)).content.decode()

    assert "<svg" in page
    assert "of 10" in page
    assert "421" in page
    assert "Slow" in page
    assert "working → benched" in page
    assert "Shop" in page
    assert f"{reverse('admin:messaging_attempt_changelist')}?sender={sender.pk}" in page


def test_attempts_are_narrowed_to_a_sender(operator, adapter):
    now = timezone.now()
    first, second = make_sender(name="first"), make_sender(name="second")
    for sender in (first, second):
        make_attempts(sender, now=now)

    page = operator.get(
        reverse("admin:messaging_attempt_changelist"), {"sender": first.pk}
    ).context["cl"]

    assert [attempt.sender for attempt in page.result_list] == [first]


def test_the_list_asks_no_more_for_many_senders(operator, adapter, django_assert_max_num_queries):
    group = make_group(per_day=5)
    for _ in range(12):
        make_sender(per_hour=7, group=group)

    with django_assert_max_num_queries(20):
        operator.get(LIST)


def test_the_changes_of_all_senders_are_listed(operator, adapter):
    sender, other, now = make_sender(), make_sender(), timezone.now()
    for one in (sender, other):
        Health().failed(reloaded(one), SenderFailure("blocked"), now=now)

    found = operator.get(
        reverse("admin:messaging_sendermove_changelist"), {"sender": sender.pk}
    ).context["cl"]

    assert list(found.result_list) == [SenderMove.objects.get(sender=sender)]
