from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from core.errors import Code, DomainError
from templates_app import publishing
from templates_app.models import Template, TemplateVersion
from templates_app.publishing import Author, ConfirmationRequired, Draft
from templates_app.source import Source
from tests.factories import (
    NOON,
    make_application,
    make_message,
    make_operator,
    make_template,
    reloaded,
)

pytestmark = pytest.mark.django_db
ANN = Author("Ann")


def draft(body="<p>{{ name }}</p>", subject="Hi", **fields):
    of_source = {n: fields.pop(n) for n in ("body_format", "text") if n in fields}
    return Draft(Source(subject, body, **of_source), **fields)


def save(template=None, version=None, **fields):
    template = template or make_template()
    return publishing.save_draft(template, draft(**fields), by=ANN, now=NOON, version=version)


def publish(version, **fields):
    return publishing.publish(version, **{"change_note": "", "by": ANN, "now": NOON} | fields)


def test_a_draft_may_have_errors_and_says_which_when_it_is_published():
    version = save(body="<p>{{ name | nope }}</p>\n{% if x %}", subject="")

    with pytest.raises(DomainError) as refused:
        publish(version)

    assert refused.value.code == Code.INVALID_REQUEST
    assert [(e.pointer, e.code) for e in refused.value.errors] == [
        ("/subject", "blank"),
        ("/body", "syntax_error"),
    ]
    assert "Line 2, column 1" in refused.value.errors[1].detail


def test_variables_follow_the_text_and_what_was_set_is_kept():
    template = make_template()
    version = save(template, body="{{ name }} {{ total | number }}")
    assert version.variables == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "total": {"type": "number"}},
        "required": ["name", "total"],
    }
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 9, "examples": ["Ann"]}},
        "required": [],
    }
    version = save(template, version=version, variables=schema)
    version = save(template, version=version, body="{{ name }} {{ url }}")

    assert version.variables["properties"]["name"] == {
        "type": "string",
        "maxLength": 9,
        "examples": ["Ann"],
    }
    assert version.variables["required"] == ["url"]


def test_what_the_text_needs_beyond_its_schema_is_added_when_it_is_published():
    version = save(body="{{ name }} {{ more }}", variables={"type": "object", "properties": {}})

    assert publish(version).variables["required"] == ["name", "more"]


def test_publishing_inlines_styles_and_derives_the_text():
    version = publish(save(body="<style>p {color: red}</style><p>Hi {{ name }}</p>"))

    assert '<p style="color: red;">Hi {{ name }}</p>' in version.html
    assert version.derived_text == "Hi {{ name }}"
    assert reloaded(version.template).current_version == version
    assert (version.author_name, version.published_at) == ("Ann", NOON)


def test_a_published_version_is_not_edited_or_published_again():
    version = publish(save())

    for attempt in (lambda: save(version.template, version=version), lambda: publish(version)):
        with pytest.raises(DomainError) as refused:
            attempt()
        assert refused.value.code == Code.CONFLICT


def test_going_back_publishes_a_copy():
    first = publish(save(body="one {{ name }}"))
    second = publish(save(first.template, body="two {{ name }}"))

    third = publishing.roll_back(first.template, to=first, by=ANN, now=NOON)

    assert (third.number, third.body, third.html) == (3, first.body, first.html)
    assert third.change_note == "Back to version 1."
    assert reloaded(first.template).current_version == third
    assert second.is_published


def test_one_does_not_go_back_to_a_draft_the_current_one_or_a_foreign_one():
    current = publish(save())
    unfinished = save(current.template)
    foreign = publish(save())

    for version in (current, unfinished, foreign):
        with pytest.raises(DomainError) as refused:
            publishing.roll_back(current.template, to=version, by=ANN, now=NOON)
        assert refused.value.code == Code.CONFLICT


def test_an_archived_template_takes_no_versions_until_it_is_restored():
    template = make_template()
    publishing.archive(template, now=NOON)

    with pytest.raises(DomainError, match="archived"):
        save(template)
    publishing.restore(template, now=NOON)

    assert save(template).number == 1


def test_who_sends_without_a_new_variable_is_named_before_it_is_required():
    current = publish(save())
    billing, shop = make_application(name="billing"), make_application(name="shop")
    sent = {"template_version": current, "variable_names": ["name"]}
    for _ in range(2):
        make_message(application=billing, **sent)
    make_message(application=shop, **sent | {"variable_names": ["city", "name"]})
    version = save(current.template, body="{{ name }} {{ city }}")

    assert publishing.added_requirements(version) == ["city"]
    with pytest.raises(ConfirmationRequired) as refused:
        publish(version, is_confirmed=False, now=NOON + timedelta(days=1))

    (caller,) = refused.value.callers
    assert (caller.application, caller.messages, caller.missing) == ("billing", 2, ("city",))
    assert not reloaded(version).is_published
    assert publish(version, is_confirmed=True).is_published


def test_nobody_is_asked_where_nothing_new_is_required():
    current = publish(save())
    make_message(template_version=current, variable_names=["name"])
    optional = save(current.template, body="{{ name }} {{ city | default: 'x' }}")

    assert publish(optional, is_confirmed=False).is_published


def test_a_copy_begins_as_a_draft_of_the_current_text():
    original = publish(save(body="one {{ name }}"))
    save(original.template, body="unfinished {{ name }}")

    copy = publishing.duplicate(
        original.template, code="copy", locale="zh-hans", application=None, by=ANN, now=NOON
    )

    version = copy.versions.get()
    assert (copy.code, copy.locale, copy.current_version) == ("copy", "zh-hans", None)
    assert (version.body, version.status) == ("one {{ name }}", "draft")
    with pytest.raises(ValidationError):
        publishing.duplicate(
            original.template, code="copy", locale="zh-hans", application=None, by=ANN, now=NOON
        )


def test_an_operator_is_kept_as_author():
    ann = make_operator(username="ann")
    version = publishing.save_draft(make_template(), draft(), by=Author("ann", ann), now=NOON)

    assert (version.author, version.author_name) == (ann, "ann")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"body": "x" * 200_001}, "/body"),
        ({"subject": "a\0b"}, "/subject"),
        ({"variables": {"type": "array"}}, "/variables"),
        (
            {"variables": {"type": "object", "properties": {"a": {"pattern": "(a+)+$"}}}},
            "/variables/properties/a/pattern",
        ),
        ({"variables": {"type": "object", "$ref": "http://x.example/y"}}, "/variables/$ref"),
        ({"variables": {"type": "object", "required": "name"}}, "/variables/required"),
    ],
)
def test_what_cannot_even_be_stored_is_refused(fields, pointer):
    with pytest.raises(DomainError) as refused:
        save(**fields)

    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert not TemplateVersion.objects.exists()


def test_a_draft_of_broken_mjml_is_kept_and_has_no_html():
    version = save(body="<mjml><mj-body>", body_format="mjml")

    assert version.html == ""
    assert [p.code for p in publishing.problems_of(version)] == ["invalid_markup"]
    assert Template.objects.count() == 1
