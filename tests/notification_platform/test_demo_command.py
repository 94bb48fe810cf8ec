"""`generate_demo_data` as a command: where it refuses, what it leaves, and its own parts."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
import time_machine
from django.core.management import CommandError, call_command

from accounts.models import Application
from core.ids import uuid7_at
from messaging import delivery, resending
from messaging.models import Message, Sender
from messaging.states import FINAL
from notification_platform.demo.calendar import arrivals
from notification_platform.demo.cast import follow_local_senders
from notification_platform.demo.pool import Meter, Player, Pool
from notification_platform.demo.providers import REFUSALS
from tests.factories import NOON, make_message, make_sender


def test_a_company_sends_by_day_and_on_weekdays_and_the_same_seed_sends_the_same():
    def drawn():
        since = NOON - timedelta(days=28)
        return arrivals(20_000, since=since, now=NOON, zone=UTC, rng=Random(7))

    found = drawn()

    moments = [datetime.fromtimestamp(at, UTC) for at in found.usual]
    hours = Counter(moment.hour for moment in moments)
    days = Counter(moment.weekday() for moment in moments)
    assert hours[9] > 5 * hours[3]
    assert hours[19] > hours[14]
    assert days[2] > 1.4 * days[6]
    assert found == drawn()
    assert len(found.usual) + sum(map(len, found.campaigns)) == 20_000
    assert all(campaign[-1] - campaign[0] < 300 for campaign in found.campaigns)


def test_a_sender_of_the_demo_is_benched_tried_and_recovers_as_a_real_one():
    refusal = REFUSALS["smtp"]["down"]
    first, second = (
        Player(sender, frozenset(), Meter(sender), None, Random(7))
        for sender in (Sender(pk=1, name="a", adapter="smtp", priority=5), Sender(pk=2, name="b"))
    )
    pool = Pool([first, second], Random(7))

    def chosen(at):
        return pool.choose(at, application_id=1).player

    assert chosen(0.0) is first
    for moment in (1.0, 2.0, 3.0):
        first.failed(refusal, moment)
    told = json.loads(pool.choose(4.0, application_id=1).told)
    assert told["chosen"] == "b"
    assert told["excluded"]["a"].startswith("benched until 00:0")
    assert told["excluded"]["a"].endswith("UTC (transient)")
    assert chosen(80.0) is first
    first.failed(refusal, 80.0)
    assert 80 + 96 <= first.benched_until <= 80 + 144
    first.worked(300.0)
    assert (first.share(301.0), first.share(365.0), first.share(541.0)) == (0.1, 0.2, 1.0)
    second.failed(refusal, 300.0)
    assert chosen(600.0) is first


@pytest.mark.django_db
def test_its_senders_follow_make_run_and_what_is_sent_again_succeeds_where_one_works(adapter):
    local = make_sender(name="local-mailbox", adapter="smtp", options=_at_port(2525))
    # What few messages come to differs with the time of day.
    now = NOON + timedelta(hours=5)
    with time_machine.travel(now):
        call_command("generate_demo_data", messages=500, days=3, language="zh-hans")
    at_first = Sender.objects.get(name="demo-mail-1").options
    Sender.objects.filter(pk=local.pk).update(options=_at_port(2626))
    make_sender(name="works", priority=100)
    failed = Message.objects.filter(status="failed", channel="email", reason="blocked").first()

    follow_local_senders()
    resending.resend(message=failed, now=now)
    delivery.drain(channel="email", lane=failed.lane, clock=lambda: now)

    failed.refresh_from_db()
    assert (failed.status, failed.sender.name) == ("success", "works")
    assert at_first == _at_port(2525)
    assert Sender.objects.get(name="demo-mail-1").options == _at_port(2626)
    assert Sender.objects.get(name="demo-esp").options["api_url"] == "http://127.0.0.1:9"
    assert Application.objects.filter(name="网上商城").exists()


def _at_port(port):
    return {"host": "127.0.0.1", "port": port, "security": "none"}


@pytest.mark.django_db
def test_it_refuses_where_somebody_works_already():
    make_message(application=Application.objects.create(name="payments"))

    with pytest.raises(
        CommandError, match=r"messages of the application payments.*--into-existing"
    ):
        call_command("generate_demo_data", messages=500)

    assert not Sender.objects.exists()


@pytest.mark.django_db
def test_it_refuses_where_a_sender_leads_to_people():
    make_sender(name="company-mail", options={"host": "smtp.example.com"})

    with pytest.raises(CommandError, match="the sender company-mail"):
        call_command("generate_demo_data", messages=500)


@pytest.mark.django_db
def test_beside_real_data_nothing_is_left_that_a_worker_could_send(capsys):
    mine = make_message(application=Application.objects.create(name="payments"))

    call_command("generate_demo_data", messages=500, days=2, into_existing=True)

    others = Message.objects.exclude(pk=mine.pk)
    assert others.count() == 500
    assert not others.exclude(status__in=FINAL).exists()
    with pytest.raises(CommandError, match="demo data here already"):
        call_command("generate_demo_data", messages=500, into_existing=True)


@pytest.mark.parametrize("wrong", [{"messages": 10}, {"days": 0}])
def test_sizes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(CommandError, match="must be from"):
        call_command("generate_demo_data", **wrong)


def test_an_id_of_the_past_sorts_by_its_moment():
    early, late = uuid7_at(1_700_000_000.001, 2**62 - 1), uuid7_at(1_700_000_000.0013, 0)

    assert early < late
    assert isinstance(early, UUID)
    assert early.version == 7
