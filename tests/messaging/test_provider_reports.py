"""What providers post: by a real connection, signed as they sign, to the address of one sender."""

import json

import pytest
import requests
from django.test import Client

from messaging import hooks, tasks
from messaging.models import (
    Attempt,
    FeedbackEvent,
    ProviderReport,
    SenderHook,
    Suppression,
)
from tests.factories import NOON, make_sender, reloaded
from tests.imitations.webhooks import BACKENDS, post_of
from tests.messaging.reporting import ANN, path_of, process, provider_sender, sent_by


@pytest.fixture
def client():
    return Client()


# --- every provider ------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.django_db(transaction=True)
def test_a_signed_report_is_stored_answered_and_then_processed(live_server, backend):
    sender = provider_sender(backend)
    message, attempt = sent_by(sender)
    url = live_server.url + path_of(sender)
    provider_id = "4711" if backend == "postal" else "provider-1"
    Attempt.objects.update(
        provider_message_id=f"<{provider_id}>" if backend == "mailgun" else provider_id
    )
    post = post_of(backend, "hard", recipient="Ann@Example.com", url=url, provider_id=provider_id)

    response = requests.post(url, data=post.body, headers=post.headers, timeout=10)

    assert (response.status_code, response.content) == (200, b"")
    report = ProviderReport.objects.get()
    assert (report.sender, bytes(report.body), report.processed_at) == (sender, post.body, None)
    assert set(report.headers) <= {"Content-Type", "svix-id"}
    process()
    event = FeedbackEvent.objects.get()
    assert (event.message, event.kind, event.recipient) == (message, "bounced", "to/0")
    assert reloaded(message).feedback == "bounced"
    assert reloaded(report).error == ""
    suppression = Suppression.objects.get()
    assert (suppression.address, suppression.reason) == (ANN, "hard_bounce")
    assert (suppression.application, suppression.source) == (None, sender.name)
    assert attempt.message == message


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.django_db(transaction=True)
def test_a_forged_report_is_refused_and_nothing_is_stored(live_server, backend, caplog):
    sender = provider_sender(backend)
    url = live_server.url + path_of(sender)
    post = post_of(backend, "hard", recipient=ANN, url=url, is_forged=True)

    response = requests.post(url, data=post.body, headers=post.headers, timeout=10)

    assert response.status_code == 403
    assert not ProviderReport.objects.exists()
    assert hooks.hook_token(sender) not in caplog.text + response.text


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.django_db
def test_a_mailbox_that_is_full_is_not_suppressed(client, backend):
    sender = provider_sender(backend)
    message, attempt = sent_by(sender)
    path = path_of(sender)
    post = post_of(
        backend,
        "soft",
        recipient=ANN,
        url=f"http://testserver{path}",
        attempt_id=str(attempt.pk),
        provider_id="1",
    )
    Attempt.objects.update(provider_message_id="1")

    assert send(client, path, post).status_code == 200
    process()

    assert reloaded(message).feedback in {"bounced", "deferred"}
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("backend", sorted(set(BACKENDS) - {"postal"}))
@pytest.mark.django_db
def test_who_complains_gets_nothing_more_from_that_application(client, backend):
    sender = provider_sender(backend)
    message, attempt = sent_by(sender)
    path = path_of(sender)
    post = post_of(
        backend,
        "complained",
        recipient=ANN,
        url=f"http://testserver{path}",
        attempt_id=str(attempt.pk),
    )

    send(client, path, post)
    process()

    suppression = Suppression.objects.get()
    assert reloaded(message).feedback == "complained"
    assert (suppression.reason, suppression.application) == ("complaint", message.application)


@pytest.mark.parametrize("backend", sorted(set(BACKENDS) - {"mandrill"}))
@pytest.mark.django_db
def test_the_same_report_twice_counts_once(client, backend):
    sender = provider_sender(backend)
    message, attempt = sent_by(sender)
    Attempt.objects.update(provider_message_id="1")
    path = path_of(sender)

    for _ in range(2):
        post = post_of(
            backend, "delivered", recipient=ANN, attempt_id=str(attempt.pk), provider_id="1"
        )
        send(client, path, post)
    process()

    assert ProviderReport.objects.exclude(processed_at=None).count() == 2
    assert FeedbackEvent.objects.count() == 1
    assert reloaded(message).feedback == "delivered"


# --- the door ------------------------------------------------------------------------------------


def send(client, path, post):
    headers = dict(post.headers)
    return client.post(path, post.body, content_type=headers.pop("Content-Type"), headers=headers)


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["guessed", "x" * 43, "x%00" * 20, "%F0%9F%98%80" * 20])
def test_an_unknown_address_is_a_404(client, token):
    response = client.post(f"/hooks/{token}/reports", b"{}", content_type="application/json")

    assert response.status_code == 404


@pytest.mark.django_db
def test_a_provider_may_look_whether_the_address_exists(client):
    path = path_of(provider_sender("mandrill"))

    assert client.head(path).status_code == client.get(path).status_code == 200
    assert client.delete(path).status_code == 405
    assert not ProviderReport.objects.exists()


@pytest.mark.django_db
def test_a_report_for_another_senders_address_is_forged(client):
    mine = provider_sender("postmark")
    other = provider_sender(
        "postmark", credentials={"server_token": "t", "webhook_secret": "other:password"}
    )
    post = post_of("postmark", "delivered", recipient=ANN)

    assert send(client, path_of(other), post).status_code == 403
    assert send(client, path_of(mine), post).status_code == 200


@pytest.mark.django_db
def test_without_a_secret_the_address_proves_enough_where_a_provider_signs_nothing(client):
    sender = provider_sender("postmark", credentials={"server_token": "t"})
    post = post_of("postmark", "delivered", recipient=ANN)
    del post.headers["Authorization"]

    assert send(client, path_of(sender), post).status_code == 200


@pytest.mark.parametrize("backend", ["resend", "mailersend", "mandrill", "postal", "mailtrap"])
@pytest.mark.django_db
def test_without_a_secret_nothing_is_taken_from_a_provider_that_signs(client, backend):
    sender = provider_sender(backend, credentials={"api_key": "k", "api_token": "k"})
    path = path_of(sender)
    post = post_of(backend, "delivered", recipient=ANN, url=f"http://testserver{path}")

    response = send(client, path, post)

    assert response.status_code == 403
    assert b"webhook_secret" in response.content
    assert not ProviderReport.objects.exists()


@pytest.mark.django_db
def test_an_old_report_of_resend_is_a_replay(client, monkeypatch):
    sender = provider_sender("resend")
    post = post_of("resend", "delivered", recipient=ANN)
    monkeypatch.setattr("messaging.channels.anymail_reports.SVIX_TOLERANCE", -1)

    assert send(client, path_of(sender), post).status_code == 403


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"[[]]", b'"x"', b"{", b"\xff\xfe", b'{"signature": 1}', b"a=b&c=d"],
)
@pytest.mark.django_db
def test_a_broken_body_is_refused_or_put_away_with_a_reason(client, backend, body):
    sender = provider_sender(backend)
    post = post_of(backend, "delivered", recipient=ANN)
    post.body = body

    response = send(client, path_of(sender), post)
    process()

    assert response.status_code in {200, 403}
    assert ProviderReport.objects.filter(processed_at=None).count() == 0
    if response.status_code == 403:
        assert not ProviderReport.objects.exists()


@pytest.mark.django_db
def test_a_body_beyond_a_mebibyte_is_refused(client):
    sender = provider_sender("postmark")
    post = post_of("postmark", "delivered", recipient=ANN)
    post.body = json.dumps({"RecordType": "x" * 1_048_577}).encode()

    assert send(client, path_of(sender), post).status_code == 413
    assert not ProviderReport.objects.exists()


@pytest.mark.django_db
def test_a_thousand_fields_of_a_form_are_no_fault_of_ours(client):
    sender = provider_sender("mandrill")
    body = "&".join(f"f{number}=1" for number in range(2000))

    response = client.post(path_of(sender), body, content_type="application/x-www-form-urlencoded")

    assert response.status_code == 403


@pytest.mark.django_db
def test_a_worker_is_woken_and_the_sweep_finds_what_no_hint_told_of(
    client, bells, django_capture_on_commit_callbacks
):
    sender = provider_sender("postmark")
    with django_capture_on_commit_callbacks(execute=True):
        send(client, path_of(sender), post_of("postmark", "delivered", recipient=ANN))
    assert bells == [("", "reports")]
    bells.clear()
    ProviderReport.objects.update(due_at=NOON)

    with django_capture_on_commit_callbacks(execute=True):
        tasks.look_around()
    assert bells == [("", "reports")]

    tasks.process_reports()
    assert ProviderReport.objects.get().processed_at is None
    assert "unknown here" in ProviderReport.objects.get().error


# --- in the admin --------------------------------------------------------------------------------


def test_the_senders_page_shows_its_address_and_gives_it_a_new_one(operator):
    sender = provider_sender("postmark")
    page = f"/admin/messaging/sender/{sender.pk}/change/"
    before = hooks.hook_token(sender)

    assert f"http://testserver/hooks/{before}/reports" in operator.get(page).content.decode()
    operator.post(f"/admin/messaging/sender/{sender.pk}/rotate/now/")

    after = SenderHook.objects.get().token
    assert after != before
    assert f"/hooks/{after}/reports" in operator.get(page).content.decode()
    assert hooks.find_sender(before) is None
    assert len(after) >= 43


def test_a_sender_whose_provider_reports_nothing_has_no_address(operator):
    sender = make_sender(adapter="smtp", options={"host": "localhost"})

    page = operator.get(f"/admin/messaging/sender/{sender.pk}/change/").content.decode()

    assert "/hooks/" not in page
    assert not SenderHook.objects.exists()


def test_the_page_of_a_report_shows_what_was_posted_and_what_is_wrong(operator):
    sender = provider_sender("postmark")
    report = ProviderReport.objects.create(sender=sender, body=b'["odd"]', due_at=NOON)
    process()

    page = operator.get(f"/admin/messaging/providerreport/{report.pk}/change/").content.decode()

    assert "[&quot;odd&quot;]" in page
    assert "not in the form of postmark" in page
