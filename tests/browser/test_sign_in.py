"""The doors of the admin, as operators go through them."""

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from playwright.sync_api import expect

from tests.factories import code_of, make_message, make_operator, make_sender

pytestmark = pytest.mark.django_db(transaction=True)


def make_group_of_viewers():
    """What emptied tables have lost."""
    Group.objects.get_or_create(name="Viewer")


def log_in(page, user):
    page.goto(reverse("admin:login"))
    page.get_by_label("Username").fill(user.username)
    page.get_by_label("Password").fill("tests")
    page.get_by_role("button", name="Log in").click()


def test_an_operator_sets_up_a_second_factor_and_logs_in_with_it(
    open_browser, live_server, photograph
):
    user = make_operator()
    first = open_browser()
    asked, complaints = [], []
    first.on("request", lambda request: asked.append(request.url))
    first.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    log_in(first, user)
    first.goto(reverse("account"))
    photograph(first, "account")
    first.get_by_role("link", name="Set up").click()
    expect(first.locator(".noti-qr svg")).to_be_visible()
    photograph(first, "second-factor")
    first.get_by_label("Code").fill(code_of(user))
    first.get_by_role("button", name="Confirm").click()
    expect(first.get_by_role("textbox", name="Backup codes")).to_be_visible()
    photograph(first, "backup-codes")
    first.get_by_role("link", name="I have kept them").click()

    second = open_browser()
    log_in(second, user)
    photograph(second, "code")
    second.get_by_label("Code").fill("000000")
    second.get_by_role("button", name="Log in", exact=True).click()
    expect(second.get_by_text("This code is wrong")).to_be_visible()
    photograph(second, "wrong-code")
    second.wait_for_timeout(1100)
    second.get_by_label("Code").fill(code_of(user, later=1))
    second.get_by_role("button", name="Log in", exact=True).click()

    expect(second).to_have_url(f"{live_server.url}{reverse('admin:index')}")
    assert {url for url in asked if not url.startswith((live_server.url, "data:"))} == set()
    assert complaints == []


def test_the_language_is_changed_in_the_header_and_who_is_locked_out_is_told(
    open_browser, photograph, settings
):
    settings.AXES_FAILURE_LIMIT = 1
    user = make_operator()
    page = open_browser(user)
    page.goto(reverse("admin:index"))
    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page.get_by_role("button", name="English")).to_be_visible()
    stranger = open_browser()
    stranger.goto(reverse("admin:login"))
    photograph(stranger, "login")
    stranger.get_by_label("Username").fill(user.username)
    stranger.get_by_label("Password").fill("wrong")
    stranger.get_by_role("button", name="Log in").click()

    expect(
        stranger.get_by_text("Nobody can log in as this operator from there until")
    ).to_be_visible()
    photograph(stranger, "locked-out")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_is_cut_off(open_browser, photograph, settings, width, scheme, adapter):
    settings.TWO_FACTOR = "optional"
    user = make_operator(username="ann", email="ann@example.com")
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    page = open_browser(user, **options)
    sender = make_sender(name="mail-1")
    make_message(status="failed")
    page.goto(reverse("admin:messaging_sender_change", args=[sender.pk]))
    page.get_by_role("button", name="Pause").click()
    photograph(page, f"sender-{width}")
    names = ["account", "second-factor", "admin:accounts_auditentry_changelist"]
    for name in names:
        page.goto(reverse(name))
        photograph(page, f"{name.replace(':', '-')}-{width}")

        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    make_group_of_viewers()
    page.goto(reverse("admin:accounts_user_change", args=[user.pk]))
    page.get_by_text("Superuser status").scroll_into_view_if_needed()
    photograph(page, f"user-{width}")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    half = open_browser(**options)
    settings.TWO_FACTOR = "required"
    log_in(half, user)
    expect(half.locator(".noti-qr svg")).to_be_visible()
    photograph(half, f"required-{width}")
    assert half.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
