"""What a template holds can do nothing to the page that shows it."""

import pytest
from playwright.sync_api import Error, Page, expect

from tests.browser.editor import EditorPage
from tests.browser.payloads import PAYLOADS
from tests.factories import make_version

# Two turns of the page's loop: what was set off before them has come.
SETTLED = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"

pytestmark = pytest.mark.django_db(transaction=True)


class Watch:
    """Everything that a script in the preview could do to its surroundings."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.seen: list[str] = []
        page.on("dialog", self._dialog)
        page.on("popup", lambda popup: self.seen.append(f"popup {popup.url}"))
        page.on("request", self._request)
        self.url, self.title = page.url, page.title()

    def _dialog(self, dialog):
        self.seen.append("dialog")
        dialog.dismiss()

    def _request(self, request):
        if "/hit" in request.url:
            self.seen.append(f"request {request.url}")

    def harm(self) -> list[str]:
        seen = list(self.seen)
        if self.page.url != self.url:
            seen.append(f"moved to {self.page.url}")
        if self.page.title() != self.title:
            seen.append("renamed")
        if self.page.evaluate("window.hit"):
            seen.append("marked")
        return seen


def click_what_can_be_clicked(frame):
    for element in frame.locator("a, button").all():
        element.dispatch_event("click")


def test_thirty_script_payloads_in_the_preview_do_nothing(page):
    assert len(PAYLOADS) == len(set(PAYLOADS)) == 30
    editor = EditorPage(page).open(make_version())
    watch = Watch(page)

    for number, payload in enumerate(PAYLOADS):
        # The mark comes first: some payloads swallow what follows.
        editor.write("body", f'<i id="mark">{number}</i>{payload}')
        expect(editor.frame.locator("#mark")).to_have_text(str(number))
        frame = page.locator("iframe.te-frame").element_handle().content_frame()
        frame.wait_for_load_state("load")
        click_what_can_be_clicked(frame)
        page.evaluate(SETTLED)

        assert watch.harm() == [], payload


def test_thirty_script_payloads_as_values_are_text(page):
    editor = EditorPage(page).open(
        make_version(subject="Hi", body="<p id=mark>{{ name }}</p>", text="{{ name }}")
    )
    watch = Watch(page)

    for payload in PAYLOADS:
        editor.set_example("name", payload)
        expect(editor.frame.locator("#mark")).to_have_text(payload, use_inner_text=False)

        assert watch.harm() == [], payload
    expect(editor.show("source")).to_contain_text("&lt;script&gt;")
    expect(editor.show("text")).to_contain_text("<script>")


def test_the_payloads_are_real(open_browser):
    # In a page without the sandbox most of them run: the tests above would see it.
    context = open_browser().context
    context.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"))
    hits = 0
    for payload in PAYLOADS:
        page = context.new_page()
        page.goto("/start")
        watch = Watch(page)
        try:
            # A dialog would hold the page.
            page.set_content("<!doctype html>" + payload.replace(";alert(1)", ""))
            click_what_can_be_clicked(page)
            page.evaluate(SETTLED)
            hits += bool(watch.harm())
        except Error:
            # The page was led away under our hands.
            hits += 1

    assert hits >= 20
