import sys
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from messaging.channels.base import SenderFailure
from messaging.models import Sender
from tests.factories import make_group, make_sender, reloaded

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=out)
    return out.getvalue()


def add(*arguments):
    return run("add_sender", "mail-1", "--adapter", "smtp", "--from", "a@example.com", *arguments)


def test_add_sender_stores_options_and_hides_the_secret(monkeypatch):
    monkeypatch.setattr(sys, "stdin", StringIO("hunter2\n"))

    add(
        *("--option", "host=mail.example.com", "--option", "port=465", "--option", "security=tls"),
        *("--option", "username=mailer", "--secret", "password", "--per-day", "500"),
    )

    sender = Sender.objects.get()
    row = str(Sender.objects.values().get())
    assert sender.options == {
        "host": "mail.example.com",
        "port": 465,
        "security": "tls",
        "username": "mailer",
    }
    assert sender.open_credentials() == {"password": "hunter2"}
    assert sender.per_day == 500
    assert "hunter2" not in row


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "host: It is required"),
        (("--option", "host=h", "--option", "port=x"), "port is 'x'"),
        (("--option", "host=h", "--option", "port=70000"), "port: It must be 1 to 65535"),
        (("--option", "host=h", "--option", "speed=9"), "no such option"),
        (("--option", "host=h", "--option", "security=maybe"), "one of: starttls, tls, none"),
        (("--option", "host=h", "--time-zone", "Mars"), "no time zone"),
        (("--option", "host=h", "--application", "nobody"), "no application nobody"),
        (("--option", "host=h", "--group", "none"), "no sender group none. There are: none"),
        (("--option", "host=h", "--max-connections", "101"), "less than or equal to 100"),
    ],
)
def test_add_sender_says_what_is_wrong_and_stores_nothing(arguments, said):
    with pytest.raises(CommandError, match=said):
        add(*arguments)

    assert not Sender.objects.exists()


def test_add_sender_puts_it_into_a_group():
    group = make_group(name="example-com")

    add("--option", "host=h", "--group", "example-com", "--max-connections", "16")

    sender = Sender.objects.get()
    assert (sender.group, sender.max_connections) == (group, 16)


def test_test_sender_says_what_it_saw_and_benches_are_forgotten(adapter):
    sender = make_sender(name="mail-1", benched_until=timezone.now() + timedelta(hours=1))

    text = run("test_sender", "mail-1")

    assert "ok     connect" in text
    assert reloaded(sender).benched_until is None


def test_test_sender_names_the_phase_that_failed(adapter):
    make_sender(name="mail-1")
    adapter.failure = SenderFailure("credentials", phase="auth", code="535", words="no")

    with pytest.raises(CommandError, match="mail-1 does not work"):
        run("test_sender", "mail-1")


def test_test_sender_names_the_senders_there_are():
    make_sender(name="mail-1")

    with pytest.raises(CommandError, match="There are: mail-1"):
        run("test_sender", "mail-2")


def test_test_sender_can_send_a_mail(adapter):
    make_sender(name="mail-1")

    run("test_sender", "mail-1", "--to", "ann@example.com")

    assert adapter.sent[0][1].content.to == [("", "ann@example.com")]
