"""A draft that nobody wants any more goes; what was published stays."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from core.errors import Code, DomainError
from messaging.models import Message
from templates_app import drafts, publishing
from templates_app.models import TemplateVersion
from templates_app.publishing import Author, Draft
from templates_app.source import Source
from templates_app.uses import uses
from tests.factories import NOON, make_operator, make_sender, make_template, make_version

pytestmark = pytest.mark.django_db


def discard_url(version):
    return reverse("admin:templates_app_templateversion_discard", args=[version.pk])


def refusal(call):
    with pytest.raises(DomainError) as refused:
        call()
    return refused.value.code


def test_a_draft_goes_after_it_was_confirmed_and_its_template_remembers(operator):
    template = make_template()
    current = make_version(template=template, status="published")
    version = make_version(template=template)

    page = operator.get(discard_url(version)).content.decode()
    kept = TemplateVersion.objects.filter(pk=version.pk).exists()
    response = operator.post(discard_url(version))

    assert "Discard draft 2" in page
    assert "Its text is gone for good" in page
    assert kept
    assert response["Location"] == reverse(
        "admin:templates_app_template_change", args=[template.pk]
    )
    assert list(TemplateVersion.objects.all()) == [current]
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message) == (str(template.pk), "Discarded: version 2.")


def test_a_published_version_stays_and_offers_no_button(operator):
    version = make_version(status="published")

    operator.post(discard_url(version))
    page = operator.get(reverse("admin:templates_app_templateversion_change", args=[version.pk]))

    assert TemplateVersion.objects.filter(pk=version.pk).exists()
    assert discard_url(version) not in page.content.decode()
    assert refusal(lambda: drafts.discard_draft(version)) == Code.CONFLICT


def test_test_mails_of_a_draft_stay_with_their_text(adapter):
    make_sender()
    version = make_version()
    uses().send_test(
        version,
        to="ann@example.com",
        variables={"name": "Ann"},
        sender_id=None,
        by=make_operator(),
        now=NOON,
    )

    drafts.discard_draft(version)

    message = Message.objects.get()
    assert (message.template_version, message.variable_names) == (None, None)
    assert message.content["subject"] == "Hello Ann"


def test_what_was_discarded_meanwhile_is_said_so_to_whoever_goes_on():
    version = make_version()
    stale = TemplateVersion.objects.select_related("template").get(pk=version.pk)
    drafts.discard_draft(version)
    ann = Author("Ann")
    draft = Draft(Source("Hi", "Hi"))

    for call in (
        lambda: drafts.discard_draft(stale),
        lambda: publishing.publish(stale, change_note="", by=ann, now=NOON),
        lambda: publishing.save_draft(stale.template, draft, by=ann, now=NOON, version=stale),
        lambda: drafts.save_over(
            stale, draft, revision=drafts.revision_of(stale), by=ann, now=NOON
        ),
    ):
        assert refusal(call) == Code.NOT_FOUND
    assert publishing.save_draft(stale.template, draft, by=ann, now=NOON).number == 1
