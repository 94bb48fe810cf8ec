"""The editor's page, as somebody at the keyboard sees it. Every step waits for what it causes."""

from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from templates_app.models import TemplateVersion


class EditorPage:
    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, version: TemplateVersion) -> "EditorPage":
        url = reverse("admin:templates_app_templateversion_change", args=[version.pk])
        self.page.goto(url)
        return self.wait()

    def wait(self, state: str = "shown") -> "EditorPage":
        """Until the scripts have taken over and the first preview is there, or known not to be."""
        expect(self.page.locator("form[data-template-editor][data-ready=true]")).to_be_visible()
        return self.rendered(state)

    def rendered(self, state: str = "shown") -> "EditorPage":
        expect(self.preview).to_have_attribute("data-state", state)
        return self

    # --- writing ---------------------------------------------------------------------------------

    def write_subject(self, text: str) -> None:
        self.page.locator("input[name=subject]").fill(text)

    def write(self, part: str, text: str) -> None:
        """Replace the text of `body` or `text`, as by pasting: typing closes tags by itself."""
        self.page.locator(f"form [data-tab={part}]").click()
        self.page.locator(f"[data-panel={part}] .cm-content").fill(text)
        expect(self.preview).not_to_have_attribute("data-state", "waiting")

    def save(self) -> None:
        self.page.get_by_role("button", name="Save draft").click()
        expect(self.status).to_have_attribute("data-state", "saved")

    def row(self, path: str) -> Locator:
        return self.page.locator(f'tr[data-path="{path}"]')

    def set_example(self, path: str, example: str) -> None:
        self.row(path).locator("input[type=text]").fill(example)
        expect(self.preview).not_to_have_attribute("data-state", "waiting")

    # --- seeing ----------------------------------------------------------------------------------

    @property
    def preview(self) -> Locator:
        return self.page.locator("[data-preview]")

    @property
    def status(self) -> Locator:
        return self.page.locator("[data-save-status]")

    @property
    def problems(self) -> Locator:
        return self.page.locator("[data-problems] li")

    @property
    def frame(self):
        return self.page.frame_locator("iframe.te-frame")

    def show(self, tab: str) -> Locator:
        """`html`, `text` or `source` of the preview."""
        self.preview.locator(f"[data-tab={tab}]").click()
        return self.preview.locator(f"[data-panel={tab}]")
