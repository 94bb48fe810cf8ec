"""Several people at one template at once, with real connections and real transactions."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from core.errors import Code, DomainError
from templates_app import drafts, publishing
from templates_app.models import Template, TemplateVersion
from templates_app.publishing import Author, Draft
from templates_app.source import Source
from tests.factories import NOON, make_template, make_version, reloaded
from tests.published_rows import empty_all_tables

pytestmark = pytest.mark.django_db(transaction=True)
ANN = Author("Ann")
ROUNDS = 5


@pytest.fixture(autouse=True)
def _published_rows_can_go(transactional_db):
    yield
    empty_all_tables()


def at_once(*calls):
    """Each in a thread of its own, begun together: what it returned, or the code of its refusal."""
    began = threading.Barrier(len(calls))

    def run(call):
        try:
            connection.ensure_connection()
            began.wait(10)
            return call()
        except DomainError as error:
            return error.code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def publish(version):
    stored = TemplateVersion.objects.select_related("template").get(pk=version.pk)
    return publishing.publish(stored, change_note="x", by=ANN, now=NOON)


def roll_back(template, version):
    stored = Template.objects.get(pk=template.pk)
    to = TemplateVersion.objects.get(pk=version.pk)
    return publishing.roll_back(stored, to=to, by=ANN, now=NOON)


def save(version, body="<p>Other {{ name }}</p>"):
    stored = TemplateVersion.objects.select_related("template").get(pk=version.pk)
    draft = Draft(Source("Hi", body))
    revision = drafts.revision_of(stored)
    return drafts.save_over(stored, draft, revision=revision, by=ANN, now=NOON)


def is_whole(template):
    """The current version is the one that was published last, and numbers are used once."""
    numbers = list(template.versions.order_by("number").values_list("number", flat=True))
    current = reloaded(template).current_version
    return len(set(numbers)) == len(numbers) and current is not None and current.is_published


def test_of_two_who_publish_one_draft_one_does():
    for _ in range(ROUNDS):
        version = make_version()

        came_out = at_once(lambda v=version: publish(v), lambda v=version: publish(v))

        assert [each for each in came_out if isinstance(each, Code)] == [Code.CONFLICT]
        assert reloaded(version.template).current_version_id == version.pk


def test_two_drafts_that_are_published_at_once_both_are_and_one_is_current():
    for _ in range(ROUNDS):
        template = make_template()
        first, second = make_version(template=template), make_version(template=template)

        came_out = at_once(lambda v=first: publish(v), lambda v=second: publish(v))

        assert not any(isinstance(each, Code) for each in came_out)
        assert is_whole(template)
        assert reloaded(first).is_published
        assert reloaded(second).is_published


def test_publishing_and_rolling_back_at_once_each_has_its_number():
    for _ in range(ROUNDS):
        template = make_template()
        old = make_version(template=template, status="published", is_current=False)
        make_version(template=template, status="published")
        version = make_version(template=template)

        came_out = at_once(
            lambda v=version: publish(v),
            lambda t=template, v=old: roll_back(t, v),
            lambda t=template, v=old: roll_back(t, v),
        )

        assert not any(isinstance(each, Code) for each in came_out)
        assert is_whole(template)
        assert template.versions.filter(status="published").count() == 5


def test_saving_and_publishing_one_draft_at_once_do_not_wait_for_each_other():
    for _ in range(ROUNDS):
        version = make_version()

        def saving(version=version):
            try:
                return save(version)
            except drafts.StaleDraft:
                return Code.CONFLICT

        _, published = at_once(saving, lambda v=version: publish(v))

        assert not isinstance(published, Code)
        stored = reloaded(version)
        assert stored.is_published
        assert stored.html == stored.body


def test_a_draft_that_is_discarded_and_published_at_once_is_one_of_both():
    for _ in range(ROUNDS):
        version = make_version()
        # Both have read it before one of them is through.
        stored = TemplateVersion.objects.select_related("template")
        one, two = (stored.get(pk=version.pk) for _ in range(2))

        discarded, published = at_once(
            lambda one=one: drafts.discard_draft(one),
            lambda two=two: publishing.publish(two, change_note="x", by=ANN, now=NOON),
        )

        is_there = TemplateVersion.objects.filter(pk=version.pk).exists()
        assert is_there == (discarded == Code.CONFLICT)
        assert is_there == (not isinstance(published, Code))
