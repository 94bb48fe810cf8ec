"""What workers are woken for. Every task may run twice, late, or never."""

import time

from celery import shared_task

from core.clock import database_clock
from core.database import forget_plans
from messaging import (
    attachment_cleanup,
    delivery,
    doorbell,
    housekeeping,
    jobs,
    metrics,
    outbox,
    receipts,
    reconciliation,
    states,
)
from messaging.callbacks import claims, dispatch

# How long one task processes reports before it lets others have the worker.
REPORTS_SECONDS = 10.0


@shared_task(name="messaging.drain", ignore_result=True)
def drain(*, channel: str, lane: str, **_: object) -> None:
    """Deliver what is due in one lane. A retry is a row with a later `due_at`, no Celery retry."""
    clock = database_clock()
    # It lasts some seconds: tables do not outgrow a plan in that time.
    forget_plans()
    if delivery.drain(channel=channel, lane=lane, clock=clock):
        look_around()


@shared_task(name="messaging.sweep", ignore_result=True)
def sweep(**_: object) -> None:
    """Find what no hint told of: lost leases, open outcomes, messages that became due."""
    look_around()


@shared_task(name="messaging.call_webhooks", ignore_result=True)
def call_webhooks(**_: object) -> None:
    """Call the webhooks that are due. A retry is a row with a later `due_at`, no Celery retry."""
    dispatch.dispatch(clock=database_clock(), is_stopping=delivery.stopping.is_set)


@shared_task(name="messaging.process_reports", ignore_result=True)
def process_reports(**_: object) -> None:
    """Apply what providers reported. What is left over is found by the sweep."""
    clock, ends_at = database_clock(), time.monotonic() + REPORTS_SECONDS
    while receipts.process_due(clock=clock) == receipts.BATCH and time.monotonic() < ends_at:
        pass


@shared_task(name="messaging.reconcile", ignore_result=True)
def reconcile(**_: object) -> None:
    """Ask providers about outcomes that stayed unknown. What is left over is found by the sweep."""
    reconciliation.ask_about_unknown(clock=database_clock())


@shared_task(name="messaging.poll", ignore_result=True)
def poll(**_: object) -> None:
    """Ask providers for news that did not come by themselves."""
    reconciliation.poll(clock=database_clock())


@shared_task(name="messaging.work_off_jobs", ignore_result=True)
def work_off_jobs(**_: object) -> None:
    """Go on with what operators asked to be done to many messages, for some seconds."""
    jobs.work_off(clock=database_clock(), is_stopping=delivery.stopping.is_set)


@shared_task(name="messaging.tidy", ignore_result=True)
def tidy(**_: object) -> None:
    """Take away what has had its time."""
    now = database_clock()()
    housekeeping.forget_answers(now=now)
    housekeeping.forget_fingerprints(now=now)
    claims.clean(now=now)
    housekeeping.forget_reports(now=now)
    housekeeping.forget_suppressions(now=now)
    housekeeping.forget_moves(now=now)
    jobs.forget(now=now)


@shared_task(name="messaging.remove_expired_attachments", ignore_result=True)
def remove_expired_attachments(**_: object) -> None:
    attachment_cleanup.remove_expired(now=database_clock()())


@shared_task(name="messaging.remove_lost_files", ignore_result=True)
def remove_lost_files(**_: object) -> None:
    attachment_cleanup.remove_lost(now=database_clock()())


def look_around() -> None:
    """One sweep. Any number at the same time do each other no harm: every move is conditional, no
    lock is waited for. That finds nothing costs 2 ms, so nothing guards against many of them."""
    clock = database_clock()
    states.recover_leases(now=clock())
    states.settle_unknown(now=clock())
    for channel, lane in metrics.due_lanes():
        doorbell.ring(channel=channel, lane=lane)
    if outbox.is_anybody_there():
        claims.recover(now=clock())
        if claims.endpoints_with_due(now=clock()):
            doorbell.ring_webhooks()
