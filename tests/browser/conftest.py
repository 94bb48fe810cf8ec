import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.chromium import chromium, is_missing
from tests.factories import make_operator
from tests.published_rows import empty_all_tables

HERE = Path(__file__).parent
# Where the suite puts what it saw, for people to look at; by default nowhere.
SCREENSHOTS = os.environ.get("SCREENSHOTS", "")

expect.set_options(timeout=15_000)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if is_missing():
                item.add_marker(pytest.mark.skip(reason="needs Chromium"))


@pytest.fixture(autouse=True)
def _django_beside_playwright(monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright runs an event loop in this thread, in which Django would refuse the database."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture
def _published_rows_can_go(transactional_db: None) -> Iterator[None]:
    yield
    empty_all_tables()


@pytest.fixture
def open_browser(_published_rows_can_go: None, live_server: Any) -> Iterator[Callable[..., Page]]:
    """Opens the admin in windows that share nothing, as `user`; the browser ends with the test."""
    with chromium() as browser:
        contexts: list[BrowserContext] = []

        def open_page(user: Any = None, **options: Any) -> Page:
            viewport = options.pop("viewport", {"width": 1440, "height": 1000})
            context = browser.new_context(base_url=live_server.url, viewport=viewport, **options)
            context.set_default_timeout(15_000)
            contexts.append(context)
            if user is not None:
                client = Client()
                client.force_login(user)
                cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
                context.add_cookies(
                    [
                        {
                            "name": settings.SESSION_COOKIE_NAME,
                            "value": cookie,
                            "url": live_server.url,
                        }
                    ]
                )
            return context.new_page()

        yield open_page
        for context in contexts:
            context.close()
        # Beside Playwright's loop the test has connections of its own to the database.
        connections.close_all()
    # Each connection of the browser had a thread of the server, and with it one of the database,
    # which cannot be emptied or dropped before they are gone.
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(timeout=15)


@pytest.fixture
def page(open_browser: Callable[..., Page]) -> Page:
    """A window in which an operator is logged in."""
    return open_browser(make_operator(email="operator@example.com"))


@pytest.fixture
def photograph() -> Callable[..., None]:
    """Keeps a picture when the suite is asked for them: SCREENSHOTS=folder."""

    def take(what: Page | Locator, name: str) -> None:
        if SCREENSHOTS:
            # A frame that was out of sight is drawn in the frame after next.
            (what if isinstance(what, Page) else what.page).evaluate(
                "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))"
            )
            what.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")

    return take
