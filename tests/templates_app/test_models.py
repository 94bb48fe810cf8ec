import pytest
from django.db import IntegrityError, connection, transaction

from templates_app.models import PublishedVersion, Template, TemplateVersion, VersionStatus
from tests.factories import NOON, make_application, make_template, make_version, reloaded

pytestmark = pytest.mark.django_db


def test_a_draft_is_edited_and_thrown_away_freely():
    version = make_version(body="one")

    version.body = "two"
    version.save()
    assert reloaded(version).body == "two"
    version.delete()

    assert not TemplateVersion.objects.filter(pk=version.pk).exists()


def test_a_published_version_is_neither_saved_nor_deleted():
    version = make_version(status="published")

    version.body = "other"
    with pytest.raises(PublishedVersion):
        version.save()
    version.status = VersionStatus.DRAFT
    with pytest.raises(PublishedVersion):
        version.save()
    with pytest.raises(PublishedVersion):
        version.delete()


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(body="other"),
        lambda rows: rows.update(status="draft", published_at=None),
        lambda rows: rows.update(change_note="only a note"),
        lambda rows: rows.delete(),
        lambda rows: connection.cursor().execute(
            "UPDATE templates_app_templateversion SET subject = 'other'"
        ),
    ],
    ids=["text", "back to draft", "note", "delete", "plain SQL"],
)
def test_the_database_refuses_what_goes_past_the_guard(change):
    version = make_version(status="published", is_current=False, body="one")

    with pytest.raises(IntegrityError, match="published template version"), transaction.atomic():
        change(TemplateVersion.objects.filter(pk=version.pk))

    assert reloaded(version).body == "one"


def test_the_current_version_is_a_published_one_of_its_own():
    template = make_template()
    draft = make_version(template=template)
    foreign = make_version(status="published")

    for version in (draft, foreign):
        with pytest.raises(IntegrityError, match="current version"), transaction.atomic():
            Template.objects.filter(pk=template.pk).update(current_version=version)
        with pytest.raises(IntegrityError, match="current version"), transaction.atomic():
            make_template(current_version=version)


def test_a_code_and_locale_exist_once_per_application_and_once_among_shared():
    ours = make_application()
    for application in (None, ours, make_application()):
        make_template(code="welcome", application=application)
        make_template(code="welcome", locale="zh-hans", application=application)

    for application in (None, ours):
        with pytest.raises(IntegrityError), transaction.atomic():
            make_template(code="welcome", application=application)


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "published", "published_at": None},
        {"published_at": NOON},
        {"body_format": "word"},
        {"number": 0},
        {"status": "gone"},
    ],
)
def test_what_makes_no_sense_is_refused_by_the_database(fields):
    with pytest.raises(IntegrityError), transaction.atomic():
        TemplateVersion.objects.create(**{"template": make_template(), "number": 1} | fields)
