"""Endpoints and their log, by the API. Each application sees its own."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Scope
from core.secrets import Sealed
from messaging.callbacks import endpoints
from messaging.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from tests.conftest import client_for
from tests.factories import make_api_key, reloaded
from tests.messaging.webhooks.conftest import make_delivery, make_endpoint

pytestmark = pytest.mark.django_db

URL = "/api/v1/webhooks"
HOOK = "https://hooks.example.com/notifications"


@pytest.fixture
def endpoint(api):
    return make_endpoint(HOOK, application=api.key.application).endpoint


def at(endpoint, *rest):
    return "/".join([URL, str(endpoint.pk), *rest])


def test_the_secret_is_shown_when_it_is_made_and_never_again(api):
    response = api.post(URL, {"url": HOOK, "description": "CRM", "events": ["message.failed"]})

    made = response.json()
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["message.failed"]
    row = WebhookEndpoint.objects.get()
    assert isinstance(row.secret, Sealed)
    assert row.secret.open() == made["secret"]
    assert made["secret"] not in row.secret.token
    one = api.get(f"{URL}/{made['id']}").json()
    assert {**one, "secret": made["secret"]} == made
    assert "secret" not in api.get(URL).json()["results"][0]


def test_by_default_it_hears_everything(api):
    made = api.post(URL, {"url": HOOK}).json()

    assert made["events"] == WebhookEvent.values
    assert (made["is_active"], made["disabled_at"], made["disabled_reason"]) == (True, None, "")


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/url", "required"),
        ({"url": "http://hooks.example.com/"}, "/url", "invalid_url"),
        ({"url": "https://127.0.0.1/"}, "/url", "invalid_url"),
        ({"url": "https://0x7f.1/"}, "/url", "invalid_url"),
        ({"url": "https://a:b@hooks.example.com/"}, "/url", "invalid_url"),
        ({"url": "hooks.example.com"}, "/url", "invalid_url"),
        ({"url": "https://" + "a" * 500}, "/url", "max_length"),
        ({"url": HOOK, "events": []}, "/events", "min_length"),
        ({"url": HOOK, "events": ["ping"]}, "/events/0", "invalid_choice"),
        ({"url": HOOK, "events": "message.failed"}, "/events", "not_a_list"),
        ({"url": HOOK, "events": [["message.failed"]]}, "/events/0", "invalid_choice"),
        ({"url": HOOK, "description": "a\nb"}, "/description", "control_characters"),
        ({"url": HOOK, "secret": "whsec_mine"}, "/secret", "unknown_field"),
    ],
)
def test_what_is_wrong_is_named(api, body, pointer, code):
    response = api.post(URL, body)

    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert (error["pointer"], error["code"]) == (pointer, code)
    assert not WebhookEndpoint.objects.exists()


def test_an_application_has_20_endpoints_at_most(api):
    for number in range(endpoints.MAX_ENDPOINTS):
        assert api.post(URL, {"url": f"{HOOK}/{number}"}).status_code == 201

    response = api.post(URL, {"url": HOOK})

    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    api.delete(f"{URL}/{api.get(URL).json()['results'][0]['id']}")
    assert api.post(URL, {"url": HOOK}).status_code == 201


def test_it_is_changed_switched_off_and_on(api, endpoint):
    WebhookEndpoint.objects.update(failures=7, failing_since=timezone.now())

    moved = api.patch(at(endpoint), {"url": HOOK + "/2", "events": 2 * ["message.failed"]}).json()
    off = api.patch(at(endpoint), {"is_active": False}).json()
    off_again = api.patch(at(endpoint), {"is_active": False}).json()
    on = api.patch(at(endpoint), {"is_active": True, "description": ""}).json()

    assert (moved["url"], moved["events"]) == (HOOK + "/2", ["message.failed"])
    assert (off["is_active"], off["disabled_reason"]) == (False, "owner")
    assert off_again == off
    assert (on["is_active"], on["disabled_at"], on["failing_since"]) == (True, None, None)
    assert reloaded(endpoint).failures == 0


def test_a_change_is_judged_like_a_new_one(api, endpoint):
    response = api.patch(at(endpoint), {"url": "https://10.0.0.1/"})

    assert response.status_code == 422
    assert reloaded(endpoint).url == HOOK


def test_deleted_it_is_gone_and_so_are_its_secrets(api, endpoint):
    assert api.delete(at(endpoint)).status_code == 204

    assert api.get(at(endpoint)).status_code == 404
    assert api.delete(at(endpoint)).status_code == 404
    assert api.get(URL).json()["results"] == []
    row = reloaded(endpoint)
    assert (row.is_active, bool(row.secret), bool(row.old_secret)) == (False, False, False)


def test_rotating_shows_the_new_secret_and_how_long_the_old_one_goes_on(api, endpoint):
    former = endpoint.secret.open()

    response = api.post(at(endpoint, "rotate-secret"), {"overlap_seconds": 3600})

    made = response.json()
    row = reloaded(endpoint)
    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    assert row.secret.open() == made["secret"] != former
    assert row.old_secret.open() == former
    left = row.old_secret_until - timezone.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    assert made["old_secret_until"] is not None


def test_a_leaked_secret_is_replaced_at_once(api, endpoint):
    made = api.post(at(endpoint, "rotate-secret"), {"overlap_seconds": 0}).json()

    assert made["old_secret_until"] is None
    assert not reloaded(endpoint).old_secret


def test_without_a_body_the_old_secret_goes_on_for_a_day(api, endpoint):
    api.post(at(endpoint, "rotate-secret"))

    left = reloaded(endpoint).old_secret_until - timezone.now()
    assert timedelta(hours=23) < left <= timedelta(days=1)


def test_a_test_is_a_ping_in_the_log(api, endpoint):
    response = api.post(at(endpoint, "test"))

    assert response.status_code == 202
    (row,) = api.get(at(endpoint, "deliveries")).json()["results"]
    assert row == response.json()
    assert (row["event"], row["status"], row["message_id"]) == ("ping", "pending", None)
    assert row["payload"]["type"] == "ping"
    assert row["payload"]["data"] == {"endpoint": str(endpoint.pk)}


def test_what_is_off_is_neither_tested_nor_replayed(api, endpoint):
    delivery = make_delivery(endpoint)
    api.patch(at(endpoint), {"is_active": False})

    tested = api.post(at(endpoint, "test"))
    replayed = api.post(at(endpoint, "deliveries", str(delivery.pk), "replay"))

    assert tested.status_code == replayed.status_code == 409
    assert "switch it on" in tested.json()["detail"]


def test_the_log_is_filtered(api, endpoint):
    message_id = uuid4()
    failed = make_delivery(endpoint, state="failed", finished_at=timezone.now())
    told = make_delivery(endpoint, event="message.failed", message_id=message_id)

    def found(**filters):
        page = api.get(at(endpoint, "deliveries"), filters).json()
        return [row["id"] for row in page["results"]]

    soon = (timezone.now() + timedelta(minutes=1)).isoformat()
    assert found() == [str(told.pk), str(failed.pk)]
    assert found(status="failed") == [str(failed.pk)]
    assert found(event="message.failed") == found(message_id=message_id) == [str(told.pk)]
    assert found(created_after=soon) == []
    assert found(created_before=soon, page_size=1) == [str(told.pk)]


@pytest.mark.parametrize(
    "query", ["status=unknown", "event=x", "message_id=x", "created_after=x", "who=x", "page=0"]
)
def test_a_wrong_filter_is_named(api, endpoint, query):
    response = api.get(f"{at(endpoint, 'deliveries')}?{query}")

    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == f"?{query.split('=')[0]}"


def test_a_replay_is_due_at_once_with_a_new_ladder(api, endpoint):
    delivery = make_delivery(endpoint, state="failed", tries=10, finished_at=timezone.now())

    response = api.post(at(endpoint, "deliveries", str(delivery.pk), "replay"))

    assert response.status_code == 202
    row = reloaded(delivery)
    assert (row.state, row.tries, row.finished_at) == ("pending", 0, None)
    assert row.event_id == delivery.event_id
    assert response.json()["due_at"] is not None


def test_what_is_being_called_is_not_replayed(api, endpoint):
    delivery = make_delivery(
        endpoint, state="delivering", leased_until=timezone.now() + timedelta(minutes=1)
    )

    response = api.post(at(endpoint, "deliveries", str(delivery.pk), "replay"))

    assert (response.status_code, reloaded(delivery).state) == (409, "delivering")


def test_a_strangers_endpoint_is_not_there(api, endpoint):
    delivery = make_delivery(endpoint)
    stranger = client_for(make_api_key())
    own = make_endpoint(HOOK, application=stranger.key.application).endpoint
    calls = [
        ("get", at(endpoint)),
        ("patch", at(endpoint)),
        ("delete", at(endpoint)),
        ("post", at(endpoint, "rotate-secret")),
        ("post", at(endpoint, "test")),
        ("get", at(endpoint, "deliveries")),
        ("post", at(endpoint, "deliveries", str(delivery.pk), "replay")),
        ("post", at(own, "deliveries", str(delivery.pk), "replay")),
    ]

    for method, url in calls:
        assert getattr(stranger, method)(url).status_code == 404, url

    assert [row["id"] for row in stranger.get(URL).json()["results"]] == [str(own.pk)]
    assert reloaded(delivery).state == "pending"
    assert WebhookDelivery.objects.count() == 1


def test_it_needs_its_scope():
    client = client_for(make_api_key(scopes=[Scope.MESSAGES_SEND, Scope.TEMPLATES_WRITE]))

    response = client.get(URL)

    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")
