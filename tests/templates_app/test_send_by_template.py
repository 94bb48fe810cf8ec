import pytest

from messaging.models import Message
from templates_app import publishing
from tests.conftest import client_for
from tests.factories import NOON, make_api_key, make_application, make_template, make_version

pytestmark = pytest.mark.django_db
URL = "/api/v1/messages/email/send"


def published(code="welcome", **fields):
    of_template = ("locale", "application", "priority", "policy", "lifetime_seconds")
    chosen = {name: fields.pop(name) for name in of_template if name in fields}
    return make_version(template=make_template(code=code, **chosen), status="published", **fields)


def send(api, **fields):
    asked = {"to": "ann@example.com", "template_code": "welcome", "variables": {"name": "Ann"}}
    asked |= fields
    return api.post(URL, {name: value for name, value in asked.items() if value is not None})


def refusal(response):
    """Status, and pointer and code of each error."""
    found = [(error["pointer"], error["code"]) for error in response.json()["errors"]]
    return response.status_code, found


def only_message():
    return Message.objects.select_related("template_version__template").get()


def test_a_message_keeps_its_version_the_names_and_what_was_rendered(api):
    version = published()

    response = send(api)

    assert response.status_code == 202
    message = only_message()
    assert message.template_version == version
    assert message.variable_names == ["name"]
    assert message.content["subject"] == "Hello Ann"
    assert message.content["html"] == "<p>Hello Ann</p>"
    assert message.content["text"] == "Hello Ann\n"


def test_the_template_says_how_its_messages_are_handled_and_a_request_overrules_it(api):
    published(priority="high", policy="at_most_once", lifetime_seconds=600)

    send(api)
    send(
        api,
        reference="another",
        priority="bulk",
        policy="at_least_once",
        expires_at="2027-01-01T00:00:00Z",
    )

    first, second = Message.objects.order_by("pk")
    assert (first.lane, first.policy) == ("high", "at_most_once")
    assert abs((first.expires_at - first.created_at).total_seconds() - 600) < 5
    assert (second.lane, second.policy, second.expires_at.year) == ("bulk", "at_least_once", 2027)


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("zh-hans-cn", "zh-hans"),
        ("zh_Hans_CN", "zh-hans"),
        ("zh-hans", "zh-hans"),
        ("zh-tw", "zh"),
        ("de", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_the_nearest_language_serves(api, asked, used):
    for locale in ("zh-hans", "zh", ""):
        published(locale=locale)

    assert send(api, locale=asked).status_code == 202

    assert only_message().template_version.template.locale == used


def test_an_applications_own_template_goes_before_a_shared_one(api):
    published(locale="zh-hans")
    published(application=api.key.application, subject="Ours {{ name }}")

    send(api, locale="zh-hans")

    assert only_message().content["subject"] == "Ours Ann"


def test_a_shared_template_serves_while_the_own_one_is_a_draft_or_archived(api):
    published(subject="Shared {{ name }}")
    own = make_template(code="welcome", application=api.key.application)
    make_version(template=own)
    send(api)
    publishing.archive(own, now=NOON)
    send(api, reference="another")

    subjects = [message.content["subject"] for message in Message.objects.all()]
    assert subjects == ["Shared Ann"] * 2


def test_an_older_published_version_can_be_asked_for(api):
    first = published(subject="One {{ name }}")
    make_version(template=first.template, status="published", subject="Two {{ name }}")

    send(api, template_version=1)
    send(api)

    subjects = [m.content["subject"] for m in Message.objects.order_by("pk")]
    assert subjects == ["One Ann", "Two Ann"]


def test_what_there_is_not_is_404_and_foreign_is_the_same(api):
    published(code="theirs", application=make_application())
    current = published()
    other = published(code="other")
    make_version(template=other.template, status="published")

    unknown, foreign = send(api, template_code="nothing"), send(api, template_code="theirs")
    assert refusal(unknown) == (404, [("/template_code", "template_not_found")])
    assert refusal(foreign) == refusal(unknown)
    assert foreign.json()["detail"].replace("theirs", "nothing") == unknown.json()["detail"]
    # Version 2 is one of another template.
    wrong = send(api, template_version=2)
    assert refusal(wrong) == (404, [("/template_version", "version_not_found")])
    assert current.number == 1


def test_a_language_without_a_template_is_404_and_names_those_that_there_are(api):
    published(locale="zh-hans")

    response = send(api, locale="de")

    assert refusal(response) == (404, [("/locale", "template_not_found")])
    assert "zh-hans" in response.json()["detail"]


def test_drafts_and_archived_templates_are_conflicts(api):
    draft = make_version(template=make_template(code="draft"))
    gone = published(code="gone")
    publishing.archive(gone.template, now=NOON)
    current = published()
    make_version(template=current.template)

    assert refusal(send(api, template_code="draft")) == (
        409,
        [("/template_code", "template_not_published")],
    )
    assert refusal(send(api, template_code="gone")) == (
        409,
        [("/template_code", "template_archived")],
    )
    assert refusal(send(api, template_version=2)) == (
        409,
        [("/template_version", "version_not_published")],
    )
    assert not draft.is_published
    assert not Message.objects.exists()


def test_missing_and_wrong_variables_are_all_named_at_once(api):
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 5},
            "user": {
                "type": "object",
                "properties": {"mail": {"type": "string"}},
                "required": ["mail"],
            },
            "items": {"type": "array", "items": {"type": "object", "required": ["price"]}},
            "a/b": {"type": "string"},
            "n": {"type": "number"},
        },
        "required": ["name", "user", "items", "a/b", "n"],
    }
    published(variables=schema)

    response = send(api, variables={"name": "too long", "user": {}, "items": [{}], "n": "x"})

    assert refusal(response) == (
        422,
        [
            ("/variables/a~1b", "required"),
            ("/variables/items/0/price", "required"),
            ("/variables/n", "invalid_type"),
            ("/variables/name", "max_length"),
            ("/variables/user/mail", "required"),
        ],
    )
    assert refusal(send(api, variables=None))[1][0] == ("/variables/a~1b", "required")


def test_unknown_variables_are_a_warning_and_an_error_when_strict(api):
    published()
    variables = {"name": "Ann", "nmae": "Ann"}

    response = send(api, variables=variables)
    strict = send(api, variables=variables, strict=True)

    assert response.status_code == 202
    assert response.json()["warnings"] == [
        {
            "pointer": "/variables/nmae",
            "code": "unknown_variable",
            "detail": "The template does not know this variable.",
        }
    ]
    assert refusal(strict) == (422, [("/variables/nmae", "unknown_variable")])


def test_a_number_prints_where_a_text_is_asked_for_and_null_is_nothing(api):
    published(
        body="{{ name }} {{ nick | default: 'none' }}",
        variables={
            "type": "object",
            "properties": {"name": {"type": "string"}, "nick": {"type": "string"}},
            "required": ["name"],
        },
    )

    assert send(api, variables={"name": 4711, "nick": None}).status_code == 202

    assert only_message().content["html"] == "4711 none"


def test_the_older_spelling_of_variables_is_taken_but_not_both(api):
    published()

    assert send(api, variables=None, template_variables={"name": "Ann"}).status_code == 202
    both = send(api, template_variables={"name": "Ann"})

    assert refusal(both) == (422, [("/template_variables", "conflict")])


@pytest.mark.parametrize("field", ["subject", "content", "text", "content_type"])
def test_a_text_beside_a_template_is_a_conflict(api, field):
    published()

    response = send(api, **{field: "html" if field == "content_type" else "x"})

    assert refusal(response) == (422, [(f"/{field}", "conflict")])


def test_what_belongs_to_templates_is_a_conflict_without_one(api):
    response = send(
        api,
        template_code=None,
        subject="x",
        content="x",
        locale="de",
        strict=True,
        template_version=1,
    )

    assert refusal(response) == (
        422,
        [
            ("/template_version", "conflict"),
            ("/locale", "conflict"),
            ("/variables", "conflict"),
            ("/strict", "conflict"),
        ],
    )


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Ann\r\nBcc: eve@example.com", "subject"),
        ("Ann\u202egpj", "subject"),
        ("a" * 300, "subject"),
    ],
)
def test_a_variable_that_spoils_the_subject_is_refused(api, name, part):
    published()

    status, errors = refusal(send(api, variables={"name": name}))

    assert status == 422
    assert errors[0][1] in ("control_characters", "max_length")
    assert not Message.objects.exists()


def test_a_variable_with_html_is_harmless_and_a_nul_is_refused(api):
    published(subject="Hello")

    send(api, variables={"name": "<script>alert(1)</script>"})

    html = only_message().content["html"]
    assert html == "<p>Hello &lt;script&gt;alert(1)&lt;/script&gt;</p>"
    nul = api.post(URL, {"to": "a@b.cc", "template_code": "welcome", "variables": {"name": "\0"}})
    assert refusal(nul) == (422, [("/variables/name", "unstorable_character")])


def test_a_link_that_would_run_something_is_a_warning(api):
    published(body='<a href="{{ name }}">x</a>')

    response = send(api, variables={"name": "javascript:alert(1)"})

    assert [warning["code"] for warning in response.json()["warnings"]] == ["unsafe_url"]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"template_code": "No Code"}, "/template_code"),
        ({"template_code": 1}, "/template_code"),
        ({"template_version": 0}, "/template_version"),
        ({"template_version": "x"}, "/template_version"),
        ({"locale": "de DE"}, "/locale"),
        ({"variables": []}, "/variables"),
        ({"variables": None, "template_variables": "x"}, "/template_variables"),
        ({"strict": "perhaps"}, "/strict"),
    ],
)
def test_fields_of_the_wrong_form_are_named(api, fields, pointer):
    published()

    status, errors = refusal(send(api, **fields))

    assert status == 422
    assert [found for found, _ in errors] == [pointer]


def test_deep_nesting_is_refused_before_it_is_rendered(api):
    published()
    deep = "[" * 60 + "]" * 60
    body = f'{{"to": "a@b.cc", "template_code": "welcome", "variables": {{"name": {deep}}}}}'

    response = api.post(URL, body, content_type="application/json")

    assert response.status_code == 400


def test_messages_show_their_template_and_are_found_by_it(api):
    published(code="other")
    published(locale="zh-hans")
    send(api, locale="zh-hans")
    send(api, template_code="other")
    api.post(URL, {"to": "a@b.cc", "subject": "direct", "content": "x"})
    stranger = client_for(make_api_key())
    send(stranger, locale="zh-hans")

    found = api.get("/api/v1/messages?template=welcome").json()["results"]
    everything = api.get("/api/v1/messages").json()["results"]

    used = {"code": "welcome", "version": 1, "locale": "zh-hans"}
    assert [message["template"] for message in found] == [used]
    assert everything[0]["template"] is None
    detail = api.get(f"/api/v1/messages/{found[0]['id']}").json()
    assert detail["template"] == used
    assert api.get("/api/v1/messages?template=No").status_code == 422


def test_a_list_by_template_asks_the_database_as_often_for_many(api, django_assert_max_num_queries):
    published()
    for _ in range(20):
        send(api)

    with django_assert_max_num_queries(6):
        api.get("/api/v1/messages?template=welcome")
