"""Every page of the admin opens, whatever is in the database."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core import checks
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import ApiKey, Application, User
from messaging.callbacks import endpoints
from messaging.hooks import hook_token
from messaging.models import (
    Attachment,
    Attempt,
    Batch,
    Event,
    Feedback,
    FeedbackEvent,
    Fingerprint,
    IdempotencyKey,
    Message,
    MessageAttachment,
    OtherRecipient,
    ProviderReport,
    Sender,
    SenderGroup,
    SenderMove,
    SenderWindow,
    Suppression,
    WebhookDelivery,
    WebhookEndpoint,
)
from templates_app.models import Template
from tests.conftest import browser_of
from tests.factories import (
    NOON,
    drain,
    make_api_key,
    make_batch,
    make_group,
    make_message,
    make_operator,
    make_sender,
    make_staff,
    make_suppression,
    make_version,
)

pytestmark = pytest.mark.django_db

# Nobody looks for these: the story of a message says what they did.
UNSEEN = {Fingerprint, IdempotencyKey}
OURS = [
    *apps.get_app_config("accounts").get_models(),
    *apps.get_app_config("templates_app").get_models(),
    *(model for model in apps.get_app_config("messaging").get_models() if model not in UNSEEN),
]
REGISTERED = [*OURS, Group]


@pytest.fixture
def _one_of_each(adapter):
    make_api_key()
    Group.objects.create(name="readers")
    sender = make_sender(per_day=10, group=make_group())
    SenderMove.objects.create(
        sender=sender, at=NOON, from_state="working", to_state="benched", why="throttled"
    )
    message = make_message()
    make_batch()
    make_version(status="published")
    OtherRecipient.objects.create(message=message, role="cc", address="bob@example.com")
    later = {"expires_at": NOON, "look_at": NOON + timedelta(hours=1)}
    file = Attachment.objects.create(application=message.application, size=1, **later)
    MessageAttachment.objects.create(message=message, attachment=file, position=0)
    drain()
    Event.objects.create(message=message, kind=Event.Kind.CANCELLED, at=NOON)
    issued = endpoints.create_endpoint(
        application_id=message.application_id,
        url="https://hooks.example.com/",
        description="",
        events=None,
    )
    endpoints.ping(issued.endpoint, now=NOON)
    sender = make_sender()
    hook_token(sender)
    ProviderReport.objects.create(sender=sender, body=b"{}")
    FeedbackEvent.objects.create(
        message=message, sender=sender, kind=Feedback.DELIVERED, at=NOON, key="1"
    )
    make_suppression()


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_model_is_in_the_admin(model):
    assert admin.site.is_registered(model)


def test_no_model_is_missed():
    assert set(REGISTERED) == set(admin.site._registry)
    assert {ApiKey, Application, User, Attempt, Event, Message, Sender, SenderWindow} < set(OURS)


def test_the_checks_of_the_admin_read_no_table():
    # On a fresh database there are none, and `migrate` runs the checks first.
    with CaptureQueriesContext(connection) as queries:
        checks.run_checks(tags=["admin"])

    assert not queries.captured_queries


@pytest.mark.usefixtures("_one_of_each")
@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model.__name__)
def test_its_list_and_its_page_open(operator, model):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model.objects.first()

    assert operator.get(reverse(f"{name}_changelist")).status_code == 200
    assert operator.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    assert operator.get(reverse(f"{name}_history", args=[row.pk])).status_code == 200


@pytest.mark.parametrize(
    "model",
    [User, Group, Application, ApiKey, Sender, SenderGroup, Suppression, Template, WebhookEndpoint],
)
def test_its_form_for_a_new_one_opens(operator, model):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_add"

    assert operator.get(reverse(name)).status_code == 200


@pytest.mark.usefixtures("_one_of_each")
@pytest.mark.parametrize(
    "model",
    [
        *(Message, Attempt, Event, OtherRecipient, SenderWindow),
        *(WebhookDelivery, ProviderReport, FeedbackEvent),
    ],
)
def test_what_happened_cannot_be_added_changed_or_deleted(operator, model):
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    row = model.objects.first()

    assert operator.get(reverse(f"{name}_add")).status_code == 403
    assert operator.post(reverse(f"{name}_change", args=[row.pk]), {}).status_code == 403
    assert operator.post(reverse(f"{name}_delete", args=[row.pk])).status_code == 403


def test_the_first_page_leads_everywhere(operator):
    page = operator.get(reverse("admin:index")).content.decode()

    for model in (
        Message,
        Batch,
        Attempt,
        Event,
        Suppression,
        ProviderReport,
        Sender,
        SenderGroup,
        WebhookEndpoint,
        WebhookDelivery,
        Template,
        Application,
        ApiKey,
        User,
    ):
        assert reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") in page


def test_who_may_see_nothing_is_led_nowhere():
    page = browser_of(make_staff()).get(reverse("admin:index"))

    assert page.status_code == 200
    assert reverse("admin:messaging_message_changelist") not in page.content.decode()


def test_logging_in_leads_to_the_first_page():
    user = make_operator()

    response = Client().post(reverse("admin:login"), {"username": user, "password": "tests"})

    assert response["Location"] == reverse("admin:index")
