import pytest

from accounts.models import Scope
from templates_app.models import Template, TemplateVersion
from tests.conftest import client_for
from tests.factories import make_api_key, make_application, make_template, make_version

pytestmark = pytest.mark.django_db
URL = "/api/v1/templates"


def errors_of(response):
    return [(error["pointer"], error["code"]) for error in response.json()["errors"]]


def own(api, code="welcome", **fields):
    return make_template(code=code, application=api.key.application, **fields)


def test_the_list_shows_ones_own_and_shared_templates_only(api):
    own(api, "ours")
    make_version(template=make_template(code="shared"), status="published")
    make_template(code="theirs", application=make_application())
    own(api, "old", archived_at="2026-01-01T00:00:00Z")

    listed = api.get(URL).json()["results"]

    shown = [(row["code"], row["is_shared"], row["current_version"]) for row in listed]
    assert shown == [("shared", True, 1), ("ours", False, None)]
    assert [row["code"] for row in api.get(f"{URL}?archived=true").json()["results"]] == ["old"]
    assert api.get(f"{URL}?code=ours").json()["total"] == 1
    assert errors_of(api.get(f"{URL}?nonsense=1")) == [("?nonsense", "unknown_field")]


def test_the_list_is_walked_by_cursor(api):
    for number in range(5):
        own(api, f"t{number}")

    first = api.get(f"{URL}?page_size=3").json()
    second = api.get(f"{URL}?page_size=3&cursor={first['next_cursor']}").json()

    codes = [row["code"] for row in first["results"] + second["results"]]
    assert codes == ["t4", "t3", "t2", "t1", "t0"]
    assert second["next_cursor"] is None
    for cursor in ("x", "AZohLQbEfpOfcEqkLVViZg", first["next_cursor"][:-2]):
        assert api.get(f"{URL}?cursor={cursor}").status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "", None),
        ("patch", "", {"name": "x"}),
        ("delete", "", None),
        ("post", "/rollback", {"version": 1}),
        ("get", "/versions", None),
        ("post", "/versions", {"subject": "x", "body": "x"}),
        ("get", "/versions/1", None),
        ("patch", "/versions/1", {"body": "x"}),
        ("delete", "/versions/1", None),
        ("post", "/versions/1/publish", {}),
    ],
)
def test_foreign_templates_are_404_and_shared_ones_are_read_only(api, method, path, body):
    theirs = make_template(code="theirs", application=make_application())
    shared = make_template(code="shared")
    for template in (theirs, shared):
        make_version(template=template)

    foreign = getattr(api, method)(f"{URL}/theirs{path}", body)
    of_all = getattr(api, method)(f"{URL}/shared{path}", body)

    assert (foreign.status_code, foreign.json()["code"]) == (404, "not_found")
    assert foreign.json()["detail"] == "There is no template theirs."
    assert of_all.status_code == (200 if method == "get" else 403)
    assert Template.objects.filter(archived_at=None, name="A template").count() == 2
    assert TemplateVersion.objects.filter(status="draft").count() == 2


def test_a_foreign_template_cannot_be_previewed(api):
    theirs = make_template(code="theirs", application=make_application())
    make_version(template=theirs)

    response = api.post(f"{URL}/preview", {"template_code": "theirs", "variables": {"name": "x"}})

    assert response.status_code == 404


@pytest.mark.parametrize("scope", Scope.values)
def test_each_call_needs_its_scope(scope):
    client = client_for(make_api_key(scopes=[scope]))
    own(client)

    read, write = client.get(URL), client.post(URL, {"code": "x"})

    assert read.status_code == (200 if scope == "templates:read" else 403)
    assert write.status_code == (201 if scope == "templates:write" else 403)


def test_new_keys_get_the_new_scopes_and_older_ones_keep_theirs(api):
    assert set(api.key.scopes) == set(Scope.values)
    older = client_for(make_api_key(scopes=["messages:send", "messages:read"]))

    assert older.get(URL).json()["code"] == "missing_scope"


def test_a_code_and_language_are_taken_once(api):
    first = api.post(URL, {"code": "welcome", "locale": "zh_Hans"})
    again = api.post(URL, {"code": "welcome", "locale": "zh-hans"})
    default = api.post(URL, {"code": "welcome"})

    assert (first.status_code, first.json()["locale"]) == (201, "zh-hans")
    assert again.status_code == 409
    assert errors_of(again) == [("/code", "unique")] or again.json()["code"] == "conflict"
    assert default.status_code == 201


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({"code": "No"}, [("/code", "invalid_code")]),
        ({"code": "preview"}, [("/code", "invalid_code")]),
        ({"locale": "x"}, [("/locale", "invalid_locale")]),
        ({"body_format": "word"}, [("/body_format", "invalid_choice")]),
        ({"channel": "pigeon"}, [("/channel", "invalid_choice")]),
        ({"lifetime_seconds": 0}, [("/lifetime_seconds", "min_value")]),
        ({"variables": {"type": "string"}}, [("/variables", "invalid_schema")]),
        ({"more": 1, "code": None}, [("/code", "null"), ("/more", "unknown_field")]),
        ({"body": "x" * 200_001}, [("/body", "max_length")]),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_made(api, fields, errors):
    response = api.post(URL, {"code": "welcome", "subject": "x", "body": "x"} | fields)

    assert (response.status_code, errors_of(response)) == (422, errors)
    assert not Template.objects.exists()


def test_a_template_without_a_language_is_not_guessed(api):
    own(api, locale="zh-hans")

    response = api.get(f"{URL}/welcome")

    assert response.status_code == 404
    assert "zh-hans" in response.json()["detail"]
    assert api.get(f"{URL}/welcome?locale=zh-Hans").json()["locale"] == "zh-hans"


def test_a_draft_tells_its_problems_and_publishing_refuses_them(api):
    own(api)
    bad = {"subject": "Hi", "body": "<p>\n{{ name | nope }}</p>"}

    version = api.post(f"{URL}/welcome/versions", bad).json()
    refused = api.post(f"{URL}/welcome/versions/1/publish", {})

    assert [problem["code"] for problem in version["problems"]] == ["unknown_filter"]
    assert (refused.status_code, errors_of(refused)) == (422, [("/body", "unknown_filter")])
    assert "Line 2, column 11" in refused.json()["errors"][0]["detail"]


def test_what_a_change_leaves_out_stays(api):
    own(api, priority="high")
    version = {"subject": "Hi {{ name }}", "body": "{{ name }}", "body_format": "text"}
    api.post(f"{URL}/welcome/versions", version)

    changed = api.patch(f"{URL}/welcome/versions/1", {"subject": "Bye {{ name }} {{ n }}"}).json()
    template = api.patch(f"{URL}/welcome", {"name": "New"}).json()

    assert (changed["body"], changed["body_format"]) == ("{{ name }}", "text")
    assert changed["variables"]["required"] == ["name", "n"]
    assert (template["name"], template["priority"], template["latest_version"]) == (
        "New",
        "high",
        1,
    )
    assert changed["author"] == f"{api.key.application.name}: tests"


def test_a_text_that_is_not_stored_is_previewed(api):
    source = {
        "subject": "Hi {{ name }}",
        "body": "# Hi {{ name }}\n\n{{ total | currency: 'EUR' }}",
        "body_format": "markdown",
        "locale": "de",
        "variables": {"name": "Ann", "total": 5, "more": 1},
    }

    shown = api.post(f"{URL}/preview", source).json()

    assert shown["subject"] == "Hi Ann"
    assert ">Hi Ann</h1>" in shown["html"]
    assert "5,00\xa0€" in shown["text"]
    assert [(v["name"], v["type"], v["is_required"]) for v in shown["variables"]] == [
        ("name", "string", True),
        ("total", "number", True),
    ]
    assert [warning["pointer"] for warning in shown["warnings"]] == ["/variables/more"]
    assert not Template.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "errors"),
    [
        ({}, 422, [("/body", "required")]),
        ({"body": "{{ a", "subject": "x"}, 422, [("/body", "syntax_error")]),
        ({"body": "{{ a }}{{ b }}", "subject": "x"}, 422, [("/variables/a", "required"),
                                                           ("/variables/b", "required")]),
        ({"template_code": "welcome", "body": "x"}, 422, [("/body", "conflict")]),
        ({"body": "x", "template_version": 1}, 422, [("/template_version", "conflict")]),
        ({"template_code": "welcome", "template_version": 9}, 404, []),
        ({"body": "{% for i in (1..99999999) %}x{% endfor %}", "subject": "x"}, 422,
         [("/variables", "too_large")]),
    ],
)  # fmt: skip
def test_a_preview_says_what_is_wrong(api, body, status, errors):
    make_version(template=own(api))

    response = api.post(f"{URL}/preview", body)

    assert (response.status_code, errors_of(response)) == (status, errors)


def test_a_draft_is_previewed_by_its_number_and_the_nearest_language_by_default(api):
    make_version(template=own(api, locale="zh"), status="published", subject="zh {{ name }}")
    make_version(template=Template.objects.get(), subject="draft {{ name }}")
    asked = {"template_code": "welcome", "locale": "zh-hans", "variables": {"name": "x"}}

    assert api.post(f"{URL}/preview", asked).json()["subject"] == "zh x"
    draft = api.post(f"{URL}/preview", asked | {"template_version": 2})
    assert draft.json()["subject"] == "draft x"


def test_lists_ask_the_database_as_often_for_many(api, django_assert_max_num_queries):
    for number in range(20):
        make_version(template=own(api, f"t{number}"), status="published")

    with django_assert_max_num_queries(4):
        api.get(URL)


def test_a_draft_is_discarded_and_a_published_version_stays(api):
    template = own(api)
    make_version(template=template, status="published")
    make_version(template=template)

    gone = api.delete(f"{URL}/welcome/versions/2")
    again = api.delete(f"{URL}/welcome/versions/2")
    stays = api.delete(f"{URL}/welcome/versions/1")

    assert (gone.status_code, again.status_code) == (204, 404)
    assert (stays.status_code, stays.json()["code"]) == (409, "conflict")
    assert [version.number for version in TemplateVersion.objects.all()] == [1]


def test_rolling_back_takes_a_note(api):
    template = own(api)
    make_version(template=template, status="published")
    make_version(template=template, status="published")

    noted = api.post(f"{URL}/welcome/rollback", {"version": 1, "change_note": "Wrong price"})
    without = api.post(f"{URL}/welcome/rollback", {"version": 2})

    assert noted.json()["change_note"] == "Wrong price"
    assert without.json()["change_note"] == "Back to version 2."
    assert errors_of(api.post(f"{URL}/welcome/rollback", {"version": 1, "change_note": 1})) == [
        ("/change_note", "invalid")
    ]
