from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from messaging.channels.base import SenderFailure
from messaging.models import Sender, SenderWindow
from messaging.sender_quotas import reserve
from tests.conftest import browser_of
from tests.factories import (
    drain,
    make_application,
    make_group,
    make_message,
    make_sender,
    make_staff,
    reloaded,
)

pytestmark = pytest.mark.django_db

LIST = reverse("admin:messaging_sender_changelist")
ADD = reverse("admin:messaging_sender_add")


def url_of(sender, page="change", *args):
    return reverse(f"admin:messaging_sender_{page}", args=[sender.pk, *args])


def sender_form(**changes):
    fields = {
        "name": "mail-1",
        "from_address": "mail-1@example.com",
        "from_name": "",
        "is_active": "on",
        "priority": "0",
        "weight": "100",
        "per_minute": "",
        "per_hour": "",
        "per_day": "",
        "time_zone": "UTC",
        "group": "",
        "max_connections": "4",
        "windows-TOTAL_FORMS": "0",
        "windows-INITIAL_FORMS": "0",
    }
    return fields | changes


def smtp_form(**changes):
    smtp = {
        "option_host": "smtp.example.com",
        "option_port": "587",
        "option_security": "starttls",
        "option_username": "mail-1",
        "option_verify_certificate": "on",
        "option_helo_name": "",
        "secret_password": "s3cret-word",
    }
    return sender_form() | smtp | changes


def errors_of(response):
    return response.context["adminform"].form.errors


def test_adding_begins_with_the_choice_of_an_adapter(operator):
    page = operator.get(ADD).content.decode()

    assert "?adapter=smtp" in page
    assert "?adapter=anymail" in page


def test_a_sender_gets_its_adapters_options_and_credentials(operator):
    application = make_application()
    form = smtp_form(option_port="2525", applications=[application.pk])

    response = operator.post(f"{ADD}?adapter=smtp", form)

    sender = Sender.objects.get()
    assert response.status_code == 302
    assert (sender.adapter, sender.channel) == ("smtp", "email")
    assert sender.options == {
        "host": "smtp.example.com",
        "port": 2525,
        "security": "starttls",
        "username": "mail-1",
        "verify_certificate": True,
    }
    assert sender.open_credentials() == {"password": "s3cret-word"}
    assert list(sender.applications.all()) == [application]


def test_what_is_wrong_with_an_option_stands_at_its_field(operator):
    response = operator.post(
        f"{ADD}?adapter=smtp",
        smtp_form(option_host="", option_port="70000", option_security="ssl"),
    )

    errors = errors_of(response)
    assert {"option_host", "option_port", "option_security"} <= set(errors)
    assert "65535" in str(errors["option_port"])
    assert not Sender.objects.exists()


def test_a_missing_secret_stands_at_its_field(operator):
    response = operator.post(f"{ADD}?adapter=smtp", smtp_form(secret_password=""))

    assert "belong together" in str(errors_of(response)["secret_password"])


def test_a_name_that_exists_stands_at_its_field(operator):
    make_sender(name="mail-1")

    response = operator.post(f"{ADD}?adapter=smtp", smtp_form())

    assert "name" in errors_of(response)


def test_the_password_never_comes_back(operator, adapter):
    sender = make_sender(credentials={"password": "s3cret-word"})

    page = operator.get(url_of(sender)).content.decode()
    refused = operator.post(url_of(sender), sender_form(name="", secret_password="an0ther-word"))

    assert "One is stored" in page
    assert "s3cret-word" not in page
    assert "s3cret-word" not in refused.content.decode()
    assert "an0ther-word" not in refused.content.decode()


def test_a_secret_that_is_left_empty_is_kept(operator, adapter):
    sender = make_sender(credentials={"password": "s3cret-word"})

    operator.post(url_of(sender), sender_form(option_color="blue", secret_password=""))

    assert reloaded(sender).open_credentials() == {"password": "s3cret-word"}
    assert reloaded(sender).options == {"color": "blue"}


def test_a_secret_that_is_entered_replaces_the_stored_one(operator, adapter):
    sender = make_sender(credentials={"password": "s3cret-word"})

    operator.post(url_of(sender), sender_form(secret_password=" an0ther-word "))

    assert reloaded(sender).open_credentials() == {"password": " an0ther-word "}


def test_a_secret_is_removed_by_its_checkbox(operator, adapter):
    sender = make_sender(credentials={"password": "s3cret-word"})

    operator.post(url_of(sender), sender_form(remove_password="on"))

    assert reloaded(sender).open_credentials() == {}


def test_credentials_that_cannot_be_read_are_entered_again(operator, adapter):
    sender = make_sender()
    Sender.objects.filter(pk=sender.pk).update(credentials="x")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE messaging_sender SET credentials = 'nonsense'")

    page = operator.get(url_of(sender))
    refused = operator.post(url_of(sender), sender_form())
    taken = operator.post(url_of(sender), sender_form(secret_password="again"))

    assert "cannot be read" in page.content.decode()
    assert "are lost" in str(errors_of(refused)["__all__"])
    assert taken.status_code == 302
    assert reloaded(sender).open_credentials() == {"password": "again"}


def test_a_sender_of_an_adapter_that_is_gone_can_be_seen_and_says_so(operator):
    sender = make_sender(adapter="gone")

    assert operator.get(url_of(sender)).status_code == 200
    refused = operator.post(url_of(sender), sender_form())
    tested = operator.post(url_of(sender, "test"))

    assert "no such adapter" in str(errors_of(refused)["__all__"])
    assert "There is no adapter gone" in tested.content.decode()


def test_its_history_holds_names_of_fields_only(operator, adapter):
    sender = make_sender()

    operator.post(
        url_of(sender),
        sender_form(from_address="someone@example.com", secret_password="an0ther-word"),
    )

    entry = LogEntry.objects.get()
    assert "Password" in entry.get_change_message()
    assert "an0ther-word" not in entry.change_message
    assert "someone@" not in entry.change_message + entry.object_repr


def test_a_test_that_passes_shows_each_phase_and_puts_the_sender_back(operator, adapter):
    sender = make_sender(failures=3, benched_until=timezone.now() + timedelta(hours=1))

    page = operator.post(url_of(sender, "test")).content.decode()

    assert "connect" in page
    assert "220 fake" in page
    assert "1 ms" in page
    assert "It works" in page
    assert reloaded(sender).benched_until is None


def test_a_test_that_fails_says_where_and_leaves_the_sender_benched(operator, adapter):
    sender = make_sender(benched_until=timezone.now() + timedelta(hours=1), failures=1)
    adapter.failure = SenderFailure("credentials", phase="auth", code="535", words="Go away")

    page = operator.post(url_of(sender, "test")).content.decode()

    assert "auth" in page
    assert "535 Go away" in page
    assert "It does not work" in page
    assert reloaded(sender).benched_until is not None


def test_several_are_tested_from_the_list(operator, adapter):
    first, second = make_sender(), make_sender()
    adapter.failures = {second.name: SenderFailure("transient", phase="connect")}

    page = operator.post(
        LIST, {"action": "test_selected", "_selected_action": [first.pk, second.pk]}
    ).content.decode()

    assert first.name in page
    assert second.name in page
    assert "It works" in page
    assert "It does not work" in page


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_a_sender_is_tested(operator, adapter, monkeypatch):
    sender = make_sender()
    seen = []
    probe = adapter.probe

    def watched(self):
        seen.append(connection.in_atomic_block)
        return probe(self)

    monkeypatch.setattr(adapter, "probe", watched)

    operator.post(url_of(sender, "test"))
    operator.post(LIST, {"action": "test_selected", "_selected_action": [sender.pk]})

    assert seen == [False, False]


def test_a_test_is_not_started_by_a_link(operator, adapter):
    sender = make_sender()

    assert operator.get(url_of(sender, "test")).status_code == 405
    assert operator.get(url_of(sender, "do", "pause")).status_code == 405


def test_a_sender_is_paused_and_resumed(operator, adapter):
    sender = make_sender()

    operator.post(url_of(sender, "do", "pause"))
    assert not reloaded(sender).is_active

    operator.post(url_of(sender, "do", "resume"))
    assert reloaded(sender).is_active
    assert LogEntry.objects.count() == 2


def test_several_are_paused_from_the_list(operator, adapter):
    first, second = make_sender(), make_sender()

    operator.post(LIST, {"action": "pause_selected", "_selected_action": [first.pk, second.pk]})

    assert Sender.objects.filter(is_active=True).count() == 0


def test_a_benched_sender_is_put_back_and_what_waited_is_woken(operator, adapter, bells):
    sender, message = make_sender(), make_message()
    adapter.failure = SenderFailure("transient", phase="connect")
    drain()
    assert reloaded(message).reason == "no_sender"

    operator.post(url_of(sender, "do", "mend"))

    assert reloaded(sender).benched_until is None
    assert reloaded(message).due_at <= timezone.now()


def test_the_list_says_how_each_one_is(operator, adapter):
    until = timezone.now() + timedelta(hours=1)
    make_sender(name="good", per_day=500)
    make_sender(name="bad", benched_until=until, last_failure_kind="credentials", failures=1)
    make_sender(name="off", is_active=False)
    spent = make_sender(name="spent", per_day=7)
    SenderWindow.objects.create(
        sender=spent, window="day", used=7, started_at=spent.window_start("day", timezone.now())
    )

    page = operator.get(LIST).content.decode()

    assert "active" in page
    assert f"benched until {until:%Y-%m-%d %H:%M:%S} because of: credentials" in page
    assert "switched off" in page
    assert "used up its limit per day" in page
    assert "7 / 7" in page
    assert "0 / 500" in page


def test_the_list_says_who_is_tried_who_recovers_and_whose_group_is_spent(operator, adapter):
    now = timezone.now()
    make_sender(name="tried", benched_until=now, last_failure_kind="transient", failures=3)
    make_sender(name="back", recovered_at=now)
    group = make_group(name="example.com", per_day=5)
    make_sender(name="shared", group=group)
    reserve(Sender.objects.get(name="shared"), 5, now=now)

    page = operator.get(LIST).content.decode()

    assert "being tried with one message, after: transient" in page
    assert "recovering at 10 %" in page
    assert "its group example.com used up its limit per day" in page


def test_the_page_of_a_recovering_sender_offers_to_put_it_back_in_full(operator, adapter):
    sender = make_sender(recovered_at=timezone.now())

    page = operator.get(url_of(sender)).content.decode()

    assert "recovering at 10 %" in page
    assert "Put back into play" in page


def test_a_sender_is_put_into_a_group_and_gets_its_connections(operator, adapter):
    sender, group = make_sender(), make_group()

    operator.post(url_of(sender), sender_form(group=group.pk, max_connections="16"))

    assert (reloaded(sender).group, reloaded(sender).max_connections) == (group, 16)


def test_too_many_connections_stand_at_their_field(operator, adapter):
    response = operator.post(url_of(make_sender()), sender_form(max_connections="101"))

    assert "max_connections" in errors_of(response)


def test_a_sender_is_not_deleted(operator, adapter):
    make_message(status="success", sender=(sender := make_sender()))

    assert operator.post(url_of(sender, "delete"), {"post": "yes"}).status_code == 403
    page = operator.get(url_of(sender)).content.decode()
    assert "pause it instead" in page


def test_who_may_only_look_neither_tests_nor_pauses(adapter):
    sender = make_sender(credentials={"password": "s3cret-word"})
    browser = browser_of(make_staff("view_sender"))

    page = browser.get(url_of(sender))
    assert page.status_code == 200
    assert "Test connection" not in page.content.decode()
    assert "s3cret-word" not in page.content.decode()
    assert browser.post(url_of(sender, "test")).status_code == 403
    assert browser.post(url_of(sender, "do", "pause")).status_code == 403
    assert browser.get(ADD).status_code == 403
