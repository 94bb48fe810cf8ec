import json

import pytest
from django.core.management import CommandError, call_command

from templates_app import rendering
from templates_app.files import STARTERS, read_folder
from templates_app.models import Template, TemplateVersion
from templates_app.sending import Wanted, prepare
from templates_app.source import Source
from templates_app.variables import example_of
from tests.factories import make_application, make_template, make_version

pytestmark = pytest.mark.django_db
KINDS = ("alert", "password-reset", "receipt", "verification-code", "welcome")


def run(capsys, *arguments):
    call_command(*map(str, arguments))
    return capsys.readouterr().out.splitlines()


def test_the_starters_are_imported_published_and_then_unchanged(capsys):
    first = run(capsys, "import_templates", "--publish")
    again = run(capsys, "import_templates", "--publish")

    assert len(first) == len(again) == 14
    assert {line.split()[0] for line in first} == {"new"}
    assert {line.split()[0] for line in again} == {"unchanged"}
    assert TemplateVersion.objects.count() == 14


@pytest.mark.parametrize("locale", ["", "zh-hans"])
@pytest.mark.parametrize("code", KINDS)
def test_each_starter_renders_with_its_examples(code, locale):
    call_command("import_templates", "--publish", verbosity=0)
    version = Template.objects.get(code=code, locale=locale).current_version
    wanted = Wanted(code=code, variables=example_of(version.variables), locale=locale)

    prepared = prepare(wanted, application_id=make_application().pk, channel="email")

    rendered = prepared.rendered
    assert prepared.warnings == []
    assert prepared.chosen.locale == locale
    assert rendered.subject
    assert len(rendered.html) < 40_000
    assert "{{" not in rendered.html + rendered.text
    assert "{%" not in rendered.html + rendered.text
    is_chinese = any("\u4e00" <= letter <= "\u9fff" for letter in rendered.text)
    assert is_chinese == (locale == "zh-hans")


@pytest.mark.parametrize("locale", ["", "zh-hans"])
@pytest.mark.parametrize(
    ("code", "channel"), [("login-code", "sms"), ("order-paid", "wechat_official")]
)
def test_each_starter_of_another_channel_fills_in_what_its_provider_asks_for(code, channel, locale):
    call_command("import_templates", "--publish", verbosity=0)
    version = Template.objects.get(code=code, locale=locale).current_version
    wanted = Wanted(code=code, variables=example_of(version.variables), locale=locale)

    prepared = prepare(wanted, application_id=make_application().pk, channel=channel)

    assert prepared.warnings == []
    assert prepared.ready.provider.id
    assert all(prepared.rendered.parameters.values())
    assert ("4711" in prepared.rendered.text) == (code == "order-paid")


def test_optional_variables_of_the_starters_may_be_left_out():
    for stored in read_folder(STARTERS):
        if "body.mjml" not in stored.files:
            continue
        about = json.loads(stored.files["template.json"])
        source = Source(about["subject"], stored.files["body.mjml"], "mjml")
        schema = about["variables"]
        needed = {n: v for n, v in example_of(schema).items() if n in schema["required"]}

        rendered = rendering.render(rendering.compile_source(source), needed)

        assert rendered.subject


def test_what_is_exported_imports_as_unchanged(capsys, tmp_path):
    make_version(
        template=make_template(code="a.b", locale="de", priority="high", lifetime_seconds=60),
        status="published",
        text="Hello {{ name }}\n",
    )
    make_version(template=make_template(code="plain"), body_format="text", body="Hi {{ name }}")

    written = run(capsys, "export_templates", tmp_path)
    changes = run(capsys, "import_templates", tmp_path)

    assert written == ["a.b/de", "plain/default", f"2 templates are in {tmp_path}."]
    assert [line.split() for line in changes] == [
        ["unchanged", "a.b/de"],
        ["unchanged", "plain/default"],
    ]
    assert (tmp_path / "a.b" / "de" / "text.txt").read_text() == "Hello {{ name }}\n"


def test_a_dry_run_shows_what_would_change_and_writes_nothing(capsys, tmp_path):
    version = make_version(template=make_template(code="welcome"), status="published")
    run(capsys, "export_templates", tmp_path)
    body = tmp_path / "welcome" / "default" / "body.html"
    body.write_text("<p>Good day {{ name }}</p>")

    shown = "\n".join(run(capsys, "import_templates", tmp_path, "--dry-run", "--publish"))

    assert "changed    welcome/default" in shown
    assert "-<p>Hello {{ name }}</p>\n+<p>Good day {{ name }}</p>" in shown
    assert list(TemplateVersion.objects.all()) == [version]

    run(capsys, "import_templates", tmp_path, "--publish")

    assert Template.objects.get().current_version.body == "<p>Good day {{ name }}</p>"


def test_without_publish_an_import_is_a_draft_that_is_not_multiplied(capsys, tmp_path):
    make_version(template=make_template(code="welcome"), status="published")
    run(capsys, "export_templates", tmp_path)
    body = tmp_path / "welcome" / "default" / "body.html"
    for text in ("<p>one {{ name }}</p>", "<p>two {{ name }}</p>"):
        body.write_text(text)
        run(capsys, "import_templates", tmp_path)

    assert [v.body for v in TemplateVersion.objects.order_by("number")][1:] == [
        "<p>two {{ name }}</p>"
    ]
    assert Template.objects.get().current_version.number == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"body.html": "<p>{{ name </p>"}, "welcome/default: body: Line 1, column 4"),
        ({"template.json": "{"}, "template.json is no JSON"),
        ({"template.json": '{"subjekt": "x"}'}, "not known: subjekt"),
        ({"body.mjml": "<mjml></mjml>"}, "more than one body"),
    ],
)
def test_files_with_errors_are_named_and_nothing_is_imported(tmp_path, change, words):
    folders = {name: tmp_path / name / "default" for name in ("alert", "welcome")}
    for folder in folders.values():
        folder.mkdir(parents=True)
        (folder / "template.json").write_text('{"subject": "Hi"}')
        (folder / "body.html").write_text("<p>{{ name }}</p>")
    for name, content in change.items():
        (folders["welcome"] / name).write_text(content)

    with pytest.raises(CommandError, match=words.replace("(", r"\(")):
        call_command("import_templates", str(tmp_path))

    assert not Template.objects.exists()


def test_templates_of_an_application_are_kept_apart(capsys, tmp_path):
    ours = make_application(name="billing")
    make_version(template=make_template(code="welcome", application=ours), status="published")
    make_version(template=make_template(code="shared"), status="published")

    assert run(capsys, "export_templates", tmp_path, "--application", "billing")[0].startswith("w")
    with pytest.raises(CommandError, match="no application nobody"):
        call_command("export_templates", str(tmp_path), "--application", "nobody")
