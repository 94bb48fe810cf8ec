"""The pages around the API: health, metrics, documentation, mailbox."""

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from core import health
from tests.factories import make_message

pytestmark = pytest.mark.django_db


def test_live_needs_nothing(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        response = client.get("/health/live")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
def test_ready_lists_its_parts(client, path):
    response = client.get(path)

    assert response.status_code == 200
    assert set(response.json()["parts"]) == {"database", "cache", "broker", "progress"}


def test_a_part_that_fails_is_named_without_its_secrets(client, monkeypatch):
    def fail():
        raise OperationalError("connection to 10.0.0.5 as admin failed")

    monkeypatch.setitem(health.PARTS, "database", fail)

    response = client.get("/health/ready")

    assert response.status_code == 503
    assert response.json()["parts"]["database"] == {
        "status": "failing",
        "detail": "OperationalError",
    }
    assert "10.0.0.5" not in response.content.decode()


def test_a_fleet_that_is_up_but_does_not_work_is_not_ready(client):
    now = timezone.now()
    make_message(
        created_at=now, due_at=now - timedelta(minutes=10), expires_at=now + timedelta(days=1)
    )

    response = client.get("/health/ready")

    assert response.status_code == 503
    assert "1 messages of email/normal are due" in response.json()["parts"]["progress"]["detail"]


@pytest.mark.parametrize(
    ("fields", "is_ready"),
    [
        ({"status": "sending", "leased_until": -600}, False),
        ({"status": "sending", "leased_until": -60}, True),
        ({"status": "sending", "leased_until": 60}, True),
        ({"status": "unknown", "due_at": -600}, False),
        ({"status": "unknown", "due_at": -60}, True),
    ],
)
def test_what_dead_workers_left_and_nobody_takes_up_is_an_alarm(client, fields, is_ready):
    now = timezone.now()
    moments = {
        name: now + timedelta(seconds=value) for name, value in fields.items() if name != "status"
    }
    make_message(status=fields["status"], **moments)

    response = client.get("/health/ready")

    assert response.status_code == (200 if is_ready else 503)
    told = response.json()["parts"]["progress"].get("detail", "")
    assert ("no worker sweeps" in told) is not is_ready


def test_a_fleet_whose_senders_are_all_down_is_ready_and_shows_it(client):
    now = timezone.now()
    make_message(
        reason="no_sender",
        created_at=now - timedelta(hours=5),
        due_at=now + timedelta(seconds=20),
        expires_at=now + timedelta(days=1),
    )

    text = client.get("/metrics").content.decode()

    assert client.get("/health/ready").status_code == 200
    assert 'notifications_waiting_for_sender{channel="email",lane="normal"} 1.0' in text
    assert "notifications_oldest_waiting_for_sender_seconds" in text
    assert 'notifications_due{channel="email"' not in text


def test_a_message_that_waits_for_its_time_is_no_alarm(client):
    now = timezone.now()
    make_message(
        created_at=now, due_at=now + timedelta(hours=10), expires_at=now + timedelta(days=1)
    )

    assert client.get("/health/ready").status_code == 200


def test_metrics_show_the_backlog_by_lane(client):
    now = timezone.now()
    make_message(
        created_at=now, due_at=now - timedelta(seconds=60), expires_at=now + timedelta(days=1)
    )

    text = client.get("/metrics").content.decode()

    assert 'notifications_due{channel="email",lane="normal"} 1.0' in text
    assert "notifications_oldest_due_seconds" in text
    assert "django_http_requests" in text


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_the_documentation_is_served_locally(client, path):
    response = client.get(path)
    page = response.content.decode()

    assert response.status_code == 200
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert response["Content-Security-Policy"].startswith("default-src 'self'")


def test_every_operation_is_in_the_schema(client):
    response = client.get("/api/schema", headers={"Accept": "application/json"})

    assert response.status_code == 200
    assert set(response.json()["paths"]) == {
        "/api/v1/attachments",
        "/api/v1/attachments/{id}",
        "/api/v1/auth/token",
        "/api/v1/messages",
        "/api/v1/batches",
        "/api/v1/batches/{id}",
        "/api/v1/batches/{id}/cancel",
        "/api/v1/messages/batch",
        "/api/v1/messages/batch/query",
        "/api/v1/messages/{id}",
        "/api/v1/messages/{id}/cancel",
        "/api/v1/messages/{id}/reschedule",
        "/api/v1/messages/{id}/resend",
        "/api/v1/messages/{id}/timeline",
        "/api/v1/messages/chat/send",
        "/api/v1/messages/email/send",
        "/api/v1/messages/sms/send",
        "/api/v1/messages/wechat/send",
        "/api/v1/messages/wechat-official/send",
        "/api/v1/senders",
        "/api/v1/senders/{name}",
        "/api/v1/statistics/summary",
        "/api/v1/statistics/timeseries",
        "/api/v1/suppressions",
        "/api/v1/suppressions/export",
        "/api/v1/suppressions/import",
        "/api/v1/suppressions/{id}",
        "/api/v1/templates",
        "/api/v1/templates/preview",
        "/api/v1/templates/{code}",
        "/api/v1/templates/{code}/rollback",
        "/api/v1/templates/{code}/versions",
        "/api/v1/templates/{code}/versions/{number}",
        "/api/v1/webhooks",
        "/api/v1/webhooks/{id}",
        "/api/v1/webhooks/{id}/deliveries",
        "/api/v1/webhooks/{id}/deliveries/{delivery_pk}/replay",
        "/api/v1/webhooks/{id}/rotate-secret",
        "/api/v1/webhooks/{id}/test",
        "/api/v1/templates/{code}/versions/{number}/publish",
    }


def test_the_front_door_leads_to_the_documentation(client):
    assert client.get("/")["Location"] == "/docs"


def test_without_a_mailbox_there_are_no_mailbox_pages(client):
    assert client.get("/mailbox").status_code == 404


@pytest.mark.parametrize("given", ["abc-1", "550e8400-e29b-41d4-a716-446655440000"])
def test_a_usable_request_id_comes_back(client, given):
    assert client.get("/health/live", headers={"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["a b", "x" * 65, "a\tb", "é"])
def test_an_unusable_request_id_is_replaced(client, given):
    answered = client.get("/health/live", headers={"X-Request-ID": given})["X-Request-ID"]

    assert answered != given
    assert len(answered) == 36


def test_metrics_of_several_processes_show_the_backlog_too(client, monkeypatch, tmp_path):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    now = timezone.now()
    make_message(created_at=now, due_at=now, expires_at=now + timedelta(days=1))

    text = client.get("/metrics").content.decode()

    assert 'notifications_due{channel="email",lane="normal"} 1.0' in text


def test_ready_tells_how_long_the_oldest_due_message_has_waited(client):
    now = timezone.now()
    make_message(
        created_at=now, due_at=now - timedelta(seconds=60), expires_at=now + timedelta(days=1)
    )

    progress = client.get("/health/ready").json()["parts"]["progress"]

    assert progress["oldest_due_seconds"] == pytest.approx(60, abs=30)
