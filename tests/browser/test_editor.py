"""Writing a draft in a real browser."""

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from playwright.sync_api import expect

from tests.browser.editor import EditorPage
from tests.factories import make_operator, make_template, make_version, reloaded

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_preview_follows_the_text_and_its_examples(page):
    editor = EditorPage(page).open(make_version(body="<p>Hello</p>", subject="Hi"))

    editor.write_subject("Dear {{ user }}")
    editor.write("body", "<h1>Welcome {{ user }}</h1>")
    editor.rendered()
    editor.set_example("user", "Ann Lee")
    editor.rendered()

    expect(editor.frame.locator("h1")).to_have_text("Welcome Ann Lee")
    expect(editor.preview.locator("[data-subject]")).to_have_text("Dear Ann Lee")
    expect(editor.show("source")).to_contain_text("<h1")
    expect(editor.show("text")).to_contain_text("Ann Lee")


def test_the_preview_is_as_narrow_as_a_telephone(page):
    editor = EditorPage(page).open(make_version())
    wide = page.locator("iframe.te-frame").bounding_box()["width"]

    page.get_by_role("button", name="Mobile").click()

    expect(editor.preview).to_have_attribute("data-shown-width", "mobile")
    assert page.locator("iframe.te-frame").bounding_box()["width"] == 390
    assert wide > 500


def test_an_error_is_shown_at_its_line_while_typing_and_goes_when_it_is_mended(page, photograph):
    editor = EditorPage(page).open(make_version())

    editor.write("body", "<p>one</p>\n<p>two</p>\n{% if name %}<p>three</p>")
    editor.rendered("stale")

    marks = page.locator("[data-panel=body] .cm-lint-marker-error")
    expect(marks).to_have_count(1)
    expect(editor.problems).to_have_count(1)
    expect(editor.problems).to_contain_text("Body, line")
    # The last good preview stays, and says that it is old.
    expect(editor.preview.locator("[data-status]")).to_be_visible()
    photograph(page, "error")

    editor.write("body", "{% if name %}<p>three</p>{% endif %}")
    editor.rendered()
    expect(editor.problems).to_have_count(0)
    expect(marks).to_have_count(0)


def test_an_error_leads_to_its_place(page):
    editor = EditorPage(page).open(make_version())
    editor.write("text", "fine\n{{ name | nonsense_filter }}")
    editor.rendered("stale")
    page.locator("form [data-tab=body]").click()

    editor.problems.get_by_role("button").click()

    expect(page.locator("[data-panel=text] .cm-content")).to_be_focused()
    expect(page.locator("[data-panel=text] .cm-activeLine")).to_contain_text("nonsense_filter")


def test_the_table_follows_the_text_and_edits_the_schema(page):
    version = make_version()
    editor = EditorPage(page).open(version)

    editor.write("body", "<p>{{ order }} {{ total }}</p>")
    editor.write_subject("Thanks")
    editor.rendered()
    expect(editor.row("order")).to_be_visible()
    # It was described and is used no more.
    expect(editor.row("name").locator(".te-unused")).to_be_visible()
    editor.row("total").locator("select").select_option("number")
    editor.set_example("total", "19.5")
    editor.row("order").locator("input[type=checkbox]").uncheck()
    editor.save()

    schema = reloaded(version).variables
    assert set(schema["properties"]) == {"order", "total"}
    assert schema["properties"]["total"]["type"] == "number"
    assert schema["properties"]["total"]["examples"] == [19.5]
    assert schema["required"] == ["total"]


def test_an_example_of_the_wrong_type_is_marked_and_not_kept(page):
    version = make_version(body="<p>{{ name }}</p>")
    editor = EditorPage(page).open(version)
    editor.row("name").locator("select").select_option("number")
    example = editor.row("name").locator("input[type=text]")

    example.fill("many")

    expect(example).to_have_attribute("aria-invalid", "true")
    editor.save()
    assert "examples" not in reloaded(version).variables["properties"]["name"]


def test_a_draft_is_saved_by_the_keyboard_and_the_page_stays(page):
    version = make_version()
    editor = EditorPage(page).open(version)
    editor.write("body", "<p>你好，{{ name }}</p>")
    expect(editor.status).to_have_attribute("data-state", "unsaved")

    page.keyboard.press("Control+s")

    expect(editor.status).to_have_attribute("data-state", "saved")
    assert reloaded(version).body == "<p>你好，{{ name }}</p>"
    entry = LogEntry.objects.get()
    assert "body" in entry.change_message
    assert "你好" not in entry.change_message


def test_of_two_editors_the_second_is_told_and_nothing_is_lost(open_browser, photograph):
    version = make_version(body="<p>old</p>")
    first = EditorPage(open_browser(make_operator(username="ann"))).open(version)
    second = EditorPage(open_browser(make_operator(username="bob"))).open(version)
    first.write("body", "<p>by Ann</p>")
    first.save()

    second.write("body", "<p>by Bob</p>")
    second.page.get_by_role("button", name="Save draft").click()

    told = second.page.locator("[data-conflict]")
    expect(told).to_contain_text("ann saved this draft")
    expect(told.locator(".te-diff")).to_contain_text("by Ann")
    expect(told.locator(".te-diff")).to_contain_text("by Bob")
    photograph(second.page, "conflict")
    expect(second.page.locator("[data-panel=body] .cm-content")).to_contain_text("by Bob")
    assert reloaded(version).body == "<p>by Ann</p>"

    second.page.get_by_role("button", name="Save mine over it").click()
    expect(second.status).to_have_attribute("data-state", "saved")
    assert reloaded(version).body == "<p>by Bob</p>"


def test_what_is_stored_can_be_taken_instead(open_browser):
    version = make_version(body="<p>old</p>")
    first = EditorPage(open_browser(make_operator())).open(version)
    second = EditorPage(open_browser(make_operator())).open(version)
    first.write("body", "<p>theirs</p>")
    first.save()
    second.write("body", "<p>mine</p>")
    second.page.get_by_role("button", name="Save draft").click()

    second.page.get_by_role("button", name="Take what is stored").click()

    expect(second.page.locator("[data-panel=body] .cm-content")).to_contain_text("theirs")
    second.write_subject("Hello again")
    second.save()
    assert (reloaded(version).body, reloaded(version).subject) == ("<p>theirs</p>", "Hello again")


def test_a_published_version_can_only_be_read(page):
    version = make_version(status="published", body="<p>final {{ name }}</p>")
    EditorPage(page).open(version)

    expect(page.get_by_role("button", name="Save draft")).to_have_count(0)
    content = page.locator("[data-panel=body] .cm-content")
    content.click()
    page.keyboard.type("x")
    expect(content).to_have_text("<p>final {{ name }}</p>")

    page.get_by_role("button", name="Edit as new draft").click()
    EditorPage(page).wait()
    expect(page.get_by_role("button", name="Save draft")).to_be_visible()
    assert version.template.versions.count() == 2


def test_without_scripts_the_text_can_be_read_and_saved(open_browser):
    version = make_version(body="<p>old</p>")
    page = open_browser(make_operator(), java_script_enabled=False)
    page.goto(reverse("admin:templates_app_templateversion_change", args=[version.pk]))

    body = page.locator("textarea[name=body]")
    expect(body).to_be_visible()
    expect(body).to_have_value("<p>old</p>")
    body.fill("<p>new</p>")
    page.get_by_role("button", name="Save draft").click()

    expect(page.get_by_text("Saved at")).to_be_visible()
    assert reloaded(version).body == "<p>new</p>"


def test_without_scripts_a_conflict_shows_both_texts(open_browser):
    version = make_version(body="<p>old</p>")
    page = open_browser(make_operator(), java_script_enabled=False)
    page.goto(reverse("admin:templates_app_templateversion_change", args=[version.pk]))
    other = EditorPage(open_browser(make_operator(username="ann"))).open(version)
    other.write("body", "<p>by Ann</p>")
    other.save()

    page.locator("textarea[name=body]").fill("<p>mine</p>")
    page.get_by_role("button", name="Save draft").click()

    expect(page.locator("[data-conflict]")).to_contain_text("ann saved this draft")
    expect(page.locator("[data-conflict]")).to_contain_text("by Ann")
    expect(page.locator("textarea[name=body]")).to_have_value("<p>mine</p>")
    page.get_by_role("button", name="Save draft").click()
    assert reloaded(version).body == "<p>mine</p>"


def test_the_pages_keep_to_their_policy(page):
    complaints = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.route("**/favicon.ico", lambda route: route.fulfill(body=""))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    template = make_template()
    make_version(template=template, status="published")
    draft = make_version(template=template, body="<p style='color:red'>{{ name }}</p>")

    EditorPage(page).open(draft)
    for name in ("publish",):
        page.goto(reverse(f"admin:templates_app_templateversion_{name}", args=[draft.pk]))
    page.goto(reverse("admin:templates_app_template_compare", args=[template.pk]))
    expect(page.locator(".cm-mergeView").first).to_be_visible()

    assert complaints == []
