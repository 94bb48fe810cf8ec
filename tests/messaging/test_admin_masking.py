"""Whoever lacks the right to see contents finds neither an address nor a word of a message on any
page, and still finds the message."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from messaging import jobs, suppressions
from messaging.models import (
    Attachment,
    Attempt,
    Event,
    Feedback,
    FeedbackEvent,
    Job,
    Message,
    MessageAttachment,
    OtherRecipient,
    ProviderReport,
    Suppression,
)
from messaging.selection import select
from messaging.suppressions import Entry
from tests.conftest import browser_of
from tests.factories import NOON, make_batch, make_message, make_sender, make_staff
from tests.messaging.webhooks.conftest import make_delivery, make_endpoint
from tests.test_admin import OURS

pytestmark = pytest.mark.django_db

# No page may hold one of these; each stands in a place of its own.
SECRETS = {
    "recipient": "zq-recipient@example.com",
    "cc": "zq-cc@example.com",
    "name": "Zq-Fullname",
    "subject": "zq-subject",
    "text": "zq-text",
    "html": "zq-html",
    "header": "zq-header",
    "parameter": "zq-parameter",
    "metadata": "zq-metadata",
    "file": "zq-file",
    "content_id": "zq-content-id",
    "report": "zq-report@example.com",
    "note": "zq-note@example.com",
    "detail": "zq-detail@example.com",
}
MESSAGES = reverse("admin:messaging_message_changelist")


@pytest.fixture
def message():
    """One that has been through everything."""
    message = make_message(
        batch=make_batch(),
        recipient=SECRETS["recipient"],
        reference="order-4711",
        tags=["vip"],
        metadata={"customer": SECRETS["metadata"]},
        variable_names=["first_name"],
        status="failed",
        reason_detail=f"550 <{SECRETS['detail']}> unknown",
        content={
            "to": [[SECRETS["name"], SECRETS["recipient"]]],
            "cc": [["", SECRETS["cc"]]],
            "subject": SECRETS["subject"],
            "text": SECRETS["text"],
            "html": f"<p>{SECRETS['html']}</p>",
            "headers": {"X-Thing": SECRETS["header"]},
            "parameters": {"code": SECRETS["parameter"]},
        },
    )
    sender = make_sender()
    OtherRecipient.objects.create(message=message, role="cc", address=SECRETS["cc"])
    file = Attachment.objects.create(
        application=message.application,
        filename=f"{SECRETS['file']}.pdf",
        size=1,
        expires_at=NOON,
        look_at=NOON + timedelta(hours=1),
    )
    MessageAttachment.objects.create(
        message=message, attachment=file, position=0, content_id=SECRETS["content_id"]
    )
    Attempt.objects.create(
        message=message,
        sender=sender,
        lease_token=1,
        started_at=NOON,
        finished_at=NOON,
        outcome="permanent",
        decision={"candidates": [], "excluded": {}},
    )
    Event.objects.create(message=message, kind=Event.Kind.DUPLICATE, at=NOON)
    FeedbackEvent.objects.create(
        message=message, sender=sender, kind=Feedback.BOUNCED, recipient="to/0", at=NOON, key="1"
    )
    report = f'{{"to": "{SECRETS["report"]}"}}'.encode()
    ProviderReport.objects.create(sender=sender, body=report, error=f"for {SECRETS['report']}")
    suppressions.add(
        Entry(SECRETS["recipient"], note=SECRETS["note"]),
        channel="email",
        application_id=None,
        source="tests",
        now=NOON,
    )
    for query in ({"recipient": SECRETS["recipient"]}, {"q": SECRETS["recipient"]}):
        jobs.ask(
            kind=Job.Kind.CANCEL,
            selection=select(query, at=timezone.now()),
            actor_id=None,
            now=NOON,
        )
    make_delivery(
        make_endpoint(application=message.application).endpoint,
        event="message.failed",
        message_id=message.pk,
        payload={"data": {"metadata": message.metadata}},
    )
    return message


@pytest.fixture
def viewer(db):
    """Somebody who may look at everything, and not at recipients and contents."""
    user = make_staff()
    looks = Permission.objects.filter(codename__startswith="view_")
    also = Permission.objects.filter(codename__in=["download_attachment", "change_message"])
    user.user_permissions.set(looks | also)
    return browser_of(user)


def hidden_in(response):
    page = b"".join(response) if response.streaming else response.content
    return {name for name, secret in SECRETS.items() if secret in page.decode()}


@pytest.mark.parametrize(
    "model", [model for model in OURS if model._meta.app_label == "messaging"], ids=str
)
def test_no_page_of_any_model_shows_what_is_to_be_masked(model, message, viewer):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    pages = [reverse(f"{name}_changelist")]
    for row in model.objects.all():
        pages += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history")]

    for url in pages:
        response = viewer.get(url)
        assert response.status_code == 200, url
        assert hidden_in(response) == set(), url


def test_who_has_the_right_sees_all_of_it(message, operator):
    shown = hidden_in(operator.get(reverse("admin:messaging_message_change", args=[message.pk])))

    # The HTML itself is in its frame.
    assert shown >= set(SECRETS) - {"report", "note"}
    assert hidden_in(operator.get(MESSAGES)) == {"recipient", "subject"}


def test_a_viewer_finds_a_message_by_its_exact_recipient_and_sees_it_masked(message, viewer):
    for query in ({"q": SECRETS["recipient"]}, {"recipient": SECRETS["recipient"]}):
        response = viewer.get(MESSAGES, query)

        assert [row.pk for row in response.context["cl"].result_list] == [message.pk]
        assert "z***@example.com" in response.content.decode()
        table = response.content.decode().partition('id="result_list"')[2].partition("</table>")[0]
        assert SECRETS["recipient"] not in table


def test_a_viewer_gets_no_preview_no_file_no_list_of_addresses(message, viewer):
    pk = message.pk

    assert viewer.get(reverse("admin:messaging_message_preview", args=[pk])).status_code == 403
    file = reverse("admin:messaging_message_attachment", args=[pk, 0])
    assert viewer.get(file).status_code == 403
    assert viewer.get(reverse("admin:messaging_suppression_take_out")).status_code == 403


def test_what_renews_a_page_is_masked_too(message, viewer):
    job = Job.objects.first()

    for name, pk in (("message", message.pk), ("job", job.pk)):
        response = viewer.get(reverse(f"admin:messaging_{name}_live", args=[pk]))
        assert response.status_code == 200
        assert hidden_in(response) == set()


def test_questions_and_answers_are_masked_too(message, viewer):
    for kind in Job.Kind.values:
        for url in (
            reverse(f"admin:messaging_message_{kind}", args=[message.pk]),
            reverse(f"admin:messaging_message_{kind}_matching"),
        ):
            asked = viewer.get(url)
            assert hidden_in(asked) == set(), url
            fields = dict(asked.context["fields"]) | {"to_lane": "high"}
            assert hidden_in(viewer.post(url, fields, follow=True)) == set(), url


def test_a_suppression_is_deleted_without_being_shown(message, viewer):
    viewer.user.user_permissions.add(Permission.objects.get(codename="delete_suppression"))
    browser = browser_of(User.objects.get(pk=viewer.user.pk))
    row = Suppression.objects.get()

    for url in (
        reverse("admin:messaging_suppression_delete", args=[row.pk]),
        reverse("admin:messaging_suppression_changelist"),
    ):
        assert hidden_in(browser.get(url)) == set()
    gone = browser.post(
        reverse("admin:messaging_suppression_delete", args=[row.pk]), {"post": "yes"}, follow=True
    )
    assert hidden_in(gone) == set()
    assert not Suppression.objects.exists()


def test_reference_tags_and_names_of_variables_stay(message, viewer):
    page = viewer.get(reverse("admin:messaging_message_change", args=[message.pk]))

    for shown in ("order-4711", "vip", "first_name", "z***@example.com", "***.pdf"):
        assert shown in page.content.decode()
    assert Message.objects.count() == 1
