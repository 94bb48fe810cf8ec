"""The pages of templates, as requests."""

import json

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from templates_app.models import Template, TemplateVersion
from tests.conftest import browser_of
from tests.factories import (
    NOON,
    make_application,
    make_staff,
    make_template,
    make_version,
    reloaded,
)

pytestmark = pytest.mark.django_db

LIST = reverse("admin:templates_app_template_changelist")
ADD = reverse("admin:templates_app_template_add")


def template_url(template, page="change", *args):
    return reverse(f"admin:templates_app_template_{page}", args=[template.pk, *args])


def version_url(version, page="change"):
    return reverse(f"admin:templates_app_templateversion_{page}", args=[version.pk])


def template_form(**changes):
    fields = {
        "code": "welcome",
        "locale": "",
        "channel": "email",
        "application": "",
        "name": "Welcome",
        "description": "",
        "priority": "normal",
        "policy": "at_least_once",
        "lifetime_seconds": "",
    }
    return fields | changes


# --- list, form ----------------------------------------------------------------------------------


def test_a_new_template_begins_with_an_empty_draft(operator):
    response = operator.post(ADD, template_form(locale="zh-hans"))

    version = TemplateVersion.objects.get()
    assert (version.template.code, version.template.locale) == ("welcome", "zh-hans")
    assert (version.number, version.status) == (1, "draft")
    assert version.author_name == operator.user.get_username()
    assert response["Location"] == version_url(version)
    assert operator.get(response["Location"]).status_code == 200


def test_a_code_that_is_taken_stands_at_the_form(operator):
    make_template(code="welcome")

    response = operator.post(ADD, template_form())

    assert "There is a template of this code" in response.content.decode()
    assert Template.objects.count() == 1


def test_what_callers_name_it_by_cannot_be_changed(operator):
    template = make_template(code="welcome")

    operator.post(template_url(template), template_form(code="other", name="New name"))

    assert (reloaded(template).code, reloaded(template).name) == ("welcome", "New name")


def test_archived_templates_are_out_of_the_way(operator):
    make_template(code="in-use")
    make_template(code="put-away", archived_at=NOON)

    shown = operator.get(LIST).content.decode()
    archived = operator.get(f"{LIST}?archived=yes").content.decode()

    assert "in-use" in shown
    assert "put-away" not in shown
    assert "put-away" in archived
    assert "in-use" not in archived


def test_the_list_is_searched_and_filtered_by_owner(operator):
    shop = make_application(name="shop")
    make_template(code="shops-own", application=shop)
    make_template(code="everybodys", name="Greeting")

    def codes(query):
        return [row.code for row in operator.get(LIST + query).context["cl"].result_list]

    assert codes(f"?owner={shop.pk}") == ["shops-own"]
    assert codes("?owner=shared") == ["everybodys"]
    assert codes("?q=greeting") == ["everybodys"]


def test_the_list_costs_the_same_for_many(operator, django_assert_max_num_queries):
    for _ in range(12):
        make_version(status="published", template=make_template(application=make_application()))

    with django_assert_max_num_queries(12):
        operator.get(LIST)


# --- drafts --------------------------------------------------------------------------------------


def draft_form(version, **changes):
    fields = {
        "subject": version.subject,
        "body": version.body,
        "body_format": version.body_format,
        "text": version.text,
        "variables": json.dumps(version.variables),
        "revision": version.updated_at.isoformat(),
    }
    return fields | changes


def save(client, version, **changes):
    return client.post(
        version_url(version),
        draft_form(version, **changes),
        headers={"Accept": "application/json"},
    )


def test_a_draft_is_saved_with_the_variables_of_its_text(operator):
    version = make_version()

    answer = save(operator, version, body="<p>{{ order.number }}</p>", subject="Order").json()

    saved = reloaded(version)
    assert saved.body == "<p>{{ order.number }}</p>"
    assert list(saved.variables["properties"]) == ["order"]
    assert answer["revision"] == saved.updated_at.isoformat()


def test_a_draft_may_be_wrong(operator):
    version = make_version()

    response = save(operator, version, body="{% if %}", subject="")

    assert response.status_code == 200
    assert reloaded(version).body == "{% if %}"
    # Its variables stay: where they are used cannot be told.
    assert list(reloaded(version).variables["properties"]) == ["name"]


def test_what_cannot_be_stored_is_said(operator):
    version = make_version()

    too_long = save(operator, version, subject="x" * 2000)
    no_schema = save(operator, version, variables="[1]")
    wrong_schema = save(operator, version, variables='{"type": "object", "$ref": "#"}')

    for response in (too_long, no_schema, wrong_schema):
        assert response.status_code == 422
        assert response.json()["detail"]
    assert reloaded(version).updated_at == version.updated_at


def test_a_draft_that_was_saved_meanwhile_is_not_overwritten(operator):
    version = make_version()
    save(operator, version, body="<p>first</p>")

    response = save(operator, version, body="<p>second</p>")

    assert response.status_code == 409
    assert operator.user.get_username() in response.json()["detail"]
    assert response.json()["theirs"]["body"] == "<p>first</p>"
    assert reloaded(version).body == "<p>first</p>"


def test_a_published_version_is_not_saved(operator):
    version = make_version(status="published")

    assert save(operator, version, body="new").status_code == 403
    assert "Edit as new draft" in operator.get(version_url(version)).content.decode()


def test_a_draft_begins_as_the_current_version_or_as_the_one_that_was_named(operator):
    template = make_template()
    old = make_version(template=template, body="old", status="published")
    make_version(template=template, body="current", status="published")

    operator.post(template_url(template, "draft"))
    operator.post(template_url(template, "draft"), {"from": old.pk})

    drafts = template.versions.filter(status="draft").order_by("number")
    assert [(draft.number, draft.body) for draft in drafts] == [(3, "current"), (4, "old")]


def test_history_names_what_was_changed_and_never_to_what(operator):
    version = make_version()

    save(operator, version, body="<p>s3cret {{ token }}</p>", variables=SCHEMA)

    entry = LogEntry.objects.get()
    assert "body" in entry.change_message
    assert "s3cret" not in f"{entry.change_message}{entry.object_repr}"
    assert "t0ken-value" not in f"{entry.change_message}{entry.object_repr}"


SCHEMA = """{"type": "object", "properties": {"token": {"type": "string",
"examples": ["t0ken-value"]}}}"""


# --- compare -------------------------------------------------------------------------------------


def test_any_two_versions_are_compared(operator):
    template = make_template()
    for body in ("one", "two", "three"):
        make_version(template=template, body=body, subject="Same")

    parts = operator.get(template_url(template, "compare") + "?before=1&after=3").context["parts"]

    assert parts == [("Body", "one", "three")]


# --- duplicate, archive --------------------------------------------------------------------------


def test_a_copy_gets_a_code_of_its_own(operator):
    template = make_template(code="welcome", name="Welcome")
    make_version(template=template, body="<p>Hi</p>", status="published")
    url = template_url(template, "duplicate")

    taken = operator.post(url, {"code": "welcome", "locale": "", "application": ""})
    response = operator.post(url, {"code": "welcome", "locale": "zh-hans", "application": ""})

    copy = Template.objects.get(locale="zh-hans")
    assert "There is a template of this code" in taken.content.decode()
    assert copy.versions.get().body == "<p>Hi</p>"
    assert response["Location"] == version_url(copy.versions.get())


def test_it_is_archived_and_restored(operator):
    template = make_template()

    asked = operator.get(template_url(template, "archive"))
    operator.post(template_url(template, "archive"))
    archived = reloaded(template).archived_at
    operator.post(template_url(template, "restore"))

    assert "Take this template out of use?" in asked.content.decode()
    assert archived is not None
    assert reloaded(template).archived_at is None


# --- who may -------------------------------------------------------------------------------------

READER = ("view_template", "view_templateversion")
EDITOR = (*READER, "change_template", "change_templateversion")
PUBLISHER = (*READER, "publish_templateversion")


def attempts(version):
    """What can be done, by name: the request that does it."""
    template = version.template
    old = template.versions.get(number=1)
    return {
        "read": lambda client: client.get(version_url(version)),
        "preview": lambda client: client.post(
            version_url(version, "preview"), "{}", content_type="application/json"
        ),
        "compare": lambda client: client.get(template_url(template, "compare")),
        "save": lambda client: save(client, version),
        "draft": lambda client: client.post(template_url(template, "draft")),
        "test": lambda client: client.post(version_url(version, "test"), {"to": "a@example.com"}),
        "archive": lambda client: client.get(template_url(template, "archive")),
        "discard": lambda client: client.get(version_url(version, "discard")),
        "publish": lambda client: client.get(version_url(version, "publish")),
        "roll back": lambda client: client.get(template_url(template, "roll_back", old.number)),
        "duplicate": lambda client: client.get(template_url(template, "duplicate")),
    }


READING = {"read", "preview", "compare"}


@pytest.mark.parametrize(
    ("permissions", "allowed"),
    [
        ((), set()),
        (READER, READING),
        (EDITOR, READING | {"save", "draft", "discard", "test", "archive"}),
        (PUBLISHER, READING | {"publish", "roll back"}),
        ((*READER, "add_template"), READING | {"duplicate"}),
    ],
    ids=["nobody", "reader", "editor", "publisher", "author"],
)
def test_who_may_do_what(permissions, allowed):
    template = make_template()
    make_version(template=template, status="published", is_current=False)
    make_version(template=template, status="published")
    version = make_version(template=template)
    client = browser_of(make_staff(*permissions))

    done = {
        name for name, attempt in attempts(version).items() if attempt(client).status_code != 403
    }

    assert done == allowed


def test_who_may_not_publish_sees_no_button(operator):
    version = make_version()

    page = browser_of(make_staff(*EDITOR)).get(version_url(version)).content.decode()

    assert version_url(version, "publish") not in page
    assert version_url(version, "publish") in operator.get(version_url(version)).content.decode()
