"""The operations console as operators use it, over a month of messages and with everything running:
gunicorn, a worker, beat, RabbitMQ, Redis and a mail server."""

import re
import time
from datetime import UTC, datetime

import pytest
from django_otp.oath import TOTP
from playwright.sync_api import expect

from tests.browser.chromium import chromium
from tests.browser.console import FACTOR, Console, Desk, create_key, give_password
from tests.browser.dashboard import counted, list_count, shown, tile_count
from tests.flows.conftest import services
from tests.installation import until

# The first waits for everybody's installation.
pytestmark = pytest.mark.timeout(420)

PAGES = {
    "dashboard": "",
    "messages": "messaging/message/",
    "jobs": "messaging/job/",
    "senders": "messaging/sender/",
    "applications": "accounts/application/",
    "keys": "accounts/apikey/",
    "templates": "templates_app/template/",
    "suppressions": "messaging/suppression/",
    "webhooks": "messaging/webhookendpoint/",
    "audit log": "accounts/auditentry/",
    "roles": "auth/group/",
}


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    with Console(folder=tmp_path_factory.mktemp("console"), **services()) as running:
        yield running


@pytest.fixture(scope="module")
def _desk(console):
    with chromium() as browser:
        yield Desk(browser, console)


@pytest.fixture
def desk(_desk):
    """Whatever is done there: nothing leaves the machine, nothing breaks, and no page complains."""
    yield _desk
    _desk.leave()
    watch = _desk.watch
    assert watch.asked
    assert (watch.foreign, watch.broken, watch.complaints) == ([], [], [])


def failed_mail(console):
    """Id and recipient of one that can succeed yet."""
    return console.query(
        "SELECT id::text, recipient FROM messaging_message AS m WHERE status = 'failed'"
        " AND channel = 'email' AND reason = 'rejected' AND only_sender_id IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM messaging_suppression AS s WHERE s.address = m.recipient)"
        " ORDER BY id DESC LIMIT 1"
    )[0]


def is_too_wide(page):
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


# --- login ---------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_and_a_right_one_opens_the_overview(desk):
    page = desk.sit_down()

    give_password(page, "ada", "wrong")
    expect(page.get_by_text("Please enter the correct username and password")).to_be_visible()
    give_password(page, "ada")

    expect(page).to_have_url(f"{desk.url}/admin/")
    expect(page.locator("#dashboard")).to_be_visible()


def test_who_has_a_second_factor_is_asked_for_its_code(desk):
    page = desk.sit_down()
    code = TOTP(bytes.fromhex(FACTOR))
    code.time = time.time()

    give_password(page, "tina")
    page.get_by_label("Code").fill(f"{code.token():06}")
    page.get_by_role("button", name="Log in", exact=True).click()

    expect(page.locator("#dashboard")).to_be_visible()


# --- the overview --------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_database_and_lead_to_what_they_count(desk, console):
    page = desk.log_in("ada")
    ranges = ("24h", "30d")

    # Once more only where the hour has changed meanwhile.
    expected, after, seen = [], None, []
    while expected != after:
        console.wait_until_counted()
        expected = [counted(console, name, now=datetime.now(UTC)) for name in ranges]
        seen = [shown(page, name) for name in ranges]
        after = [counted(console, name, now=datetime.now(UTC)) for name in ranges]

    assert seen == expected
    for name, told in zip(ranges, expected, strict=True):
        for tile, count in told["tiles"].items():
            if count < 10_000:
                page.goto(f"/admin/?range={name}")
                page.locator(f"[data-tile={tile}]").click()
                assert list_count(page) == count, (name, tile)


def test_the_overview_renews_what_changed_and_nothing_else(desk, console):
    page = desk.sit_down()
    page.clock.install()
    give_password(page, "ada")
    before = tile_count(page, "accepted")
    page.evaluate(
        "window.parts = [...document.querySelectorAll('[data-part]')].map((part) =>"
        " ({part, html: part.innerHTML, child: part.firstElementChild}))"
    )

    console.send(console.token())
    console.wait_until_counted()
    page.clock.run_for(15_000)

    expect(page.locator("[data-tile=accepted] strong")).to_have_text(f"{before + 1:,}")
    kept, renewed, flickered = page.evaluate(
        "(() => { const found = [[], [], []]; for (const {part, html, child} of window.parts) {"
        " const isSame = part.firstElementChild === child;"
        " const place = part.innerHTML !== html ? 1 : isSame ? 0 : 2;"
        " found[place].push(part.dataset.part); } return found; })()"
    )
    assert {"tiles", "fresh", "series"} <= set(renewed)
    assert {"reasons", "workers"} <= set(kept)
    assert flickered == []


# --- messages ------------------------------------------------------------------------------------


def test_a_message_is_found_in_two_clicks_sent_again_and_seen_to_succeed(desk, console):
    message_id, recipient = failed_mail(console)
    page = desk.log_in("olga")

    # Two clicks, and the address that was asked about.
    page.locator("#nav-sidebar").get_by_role("link", name="Messages", exact=False).first.click()
    page.locator("#searchbar").fill(recipient)
    page.locator("#searchbar").press("Enter")
    page.locator(f"#result_list a[href*='{message_id}']").first.click()
    expect(page.locator("[data-live-part=state]")).to_have_text(re.compile("failed"))

    console.mail.delay = 3.0
    try:
        page.get_by_role("link", name="Send again").click()
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_text("1 message is on its way again.")).to_be_visible()
        expect(page.locator("[data-live-part=state]")).to_have_text(re.compile("pending|sending"))
        page.evaluate("window.isTheSamePage = true")
        expect(page.locator("[data-live-part=state]")).to_have_text("success")
    finally:
        console.mail.delay = 0.0

    assert page.evaluate("window.isTheSamePage") is True
    assert [recipient] in [mail.rcpt_tos for mail in console.mail.envelopes]


def test_many_are_sent_again_by_a_filter_and_the_bar_reaches_its_end(desk, console):
    which = (
        "status = 'failed' AND reason = 'rejected' AND application_id ="
        " (SELECT id FROM accounts_application WHERE name = 'Newsletters')"
    )
    ids = [row[0] for row in console.query(f"SELECT id FROM messaging_message WHERE {which}")]
    assert len(ids) > 200
    application = console.id_of("accounts_application", "Newsletters")
    page = desk.log_in("olga")

    page.goto(f"/admin/messaging/message/?status=failed&reason=rejected&application={application}")
    assert list_count(page) == len(ids)
    page.get_by_text("All that match").click()
    page.locator("a[href*='resend-matching']").click()
    expect(page.get_by_text(f"Send {len(ids)} messages again?")).to_be_visible()
    page.get_by_role("button", name="Send again").click()
    bar = page.get_by_role("progressbar")
    expect(bar).to_be_visible()
    expect(page.get_by_text(f"{len(ids)} messages are on their way again.")).to_be_visible()
    expect(page.locator("[data-live-part=progress]")).to_contain_text("done")
    expect(bar).to_have_attribute("value", str(len(ids)))

    job = console.query("SELECT state, matched, done FROM messaging_job ORDER BY id DESC LIMIT 1")
    again = "SELECT COUNT(*) FROM messaging_event WHERE kind = 'resent' AND message_id = ANY(%s)"
    again += " AND actor_id = (SELECT id FROM accounts_user WHERE username = 'olga')"
    left = "SELECT COUNT(*) FROM messaging_message WHERE id = ANY(%s) AND status <> 'success'"
    left += " AND NOT (status = 'failed' AND reason = 'suppressed')"
    assert job == [("done", len(ids), len(ids))]
    assert console.value(again, ids) == len(ids)
    until(lambda: console.value(left, ids) == 0, seconds=60, what="all sent")


# --- senders -------------------------------------------------------------------------------------


def test_a_paused_sender_gets_nothing_until_it_is_resumed(desk, console):
    page = desk.log_in("ada")
    key = create_key(page, "flows", "pause")
    token = console.token_of(key.api_key, key.api_secret)

    def senders_of_three():
        ids = [console.send(token) for _ in range(3)]
        until(
            lambda: all(console.status(each) == "success" for each in ids),
            seconds=30,
            what="sent",
        )
        taken_by = "SELECT DISTINCT s.name FROM messaging_message AS m JOIN messaging_sender AS s"
        taken_by += " ON s.id = m.sender_id WHERE m.id = ANY(%s::uuid[])"
        return [name for (name,) in console.query(taken_by, ids)]

    page.locator("#nav-sidebar").get_by_role("link", name="Senders", exact=False).first.click()
    page.get_by_role("link", name="north", exact=True).click()
    before = senders_of_three()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("It is switched off and gets no more messages.")).to_be_visible()
    paused = senders_of_three()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("It is switched on again.")).to_be_visible()
    resumed = senders_of_three()

    assert (before, paused, resumed) == (["north"], ["south"], ["north"])


# --- keys ----------------------------------------------------------------------------------------


def test_a_key_is_created_used_and_revoked(desk, console):
    page = desk.log_in("ada")

    key = create_key(page, "flows", "story")
    token = console.token_of(key.api_key, key.api_secret)
    message_id = console.send(token)
    until(lambda: console.status(message_id) == "success", seconds=30, what="sent")
    page.reload()
    told_again = key.api_secret in page.content()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("The key is revoked.")).to_be_visible()

    assert not told_again
    assert console.refusal(lambda: console.token_of(key.api_key, key.api_secret)) == 401
    assert console.refusal(lambda: console.send(token)) == 401


# --- language and roles --------------------------------------------------------------------------


def test_the_language_is_switched_in_the_header_and_stays(desk):
    page = desk.log_in("lin")

    page.get_by_role("button", name="简体中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    page.goto("/admin/messaging/message/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(page.get_by_role("button", name="English")).to_be_visible()
    later = desk.log_in("lin")

    expect(later.locator("html")).to_have_attribute("lang", "zh-hans")


@pytest.mark.parametrize(("username", "may_act"), [("vera", False), ("olga", True)])
def test_a_viewer_sees_no_recipients_and_no_buttons_and_an_operator_both(
    desk, console, username, may_act
):
    message_id, recipient = failed_mail(console)
    north = console.id_of("messaging_sender", "north")
    page = desk.log_in(username)

    page.goto(f"/admin/messaging/message/?q={message_id}")
    in_list = recipient in page.locator("#result_list").inner_text()
    actions = page.get_by_text("All that match").count()
    page.goto(f"/admin/messaging/message/{message_id}/change/")
    on_page = recipient in page.content()
    again = page.get_by_role("link", name="Send again").count()
    page.goto(f"/admin/messaging/sender/{north}/change/")
    pause = page.get_by_role("button", name="Pause").count()

    assert (in_list, on_page) == (may_act, may_act)
    assert (bool(actions), bool(again), bool(pause)) == (may_act, may_act, may_act)


# --- phones --------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_no_page_is_wider_than_a_phone(desk, console, photograph, language):
    page = desk.sit_down(viewport={"width": 390, "height": 844}, locale=language)
    give_password(page, "tourist")
    details = {
        "message": ("messaging/message", failed_mail(console)[0]),
        "job": ("messaging/job", console.value("SELECT id FROM messaging_job LIMIT 1")),
        "sender": ("messaging/sender", console.id_of("messaging_sender", "demo-mail-2")),
        "application": ("accounts/application", console.id_of("accounts_application", "Web shop")),
    }
    pages = PAGES | {name: f"{where}/{pk}/change/" for name, (where, pk) in details.items()}

    too_wide = []
    for name, path in pages.items():
        page.goto(f"/admin/{path}")
        for look in ("light", "dark"):
            # As the theme does it.
            page.evaluate(f"document.documentElement.classList.toggle('dark', {look == 'dark':d})")
            photograph(page, f"console-{name}-{language}-{look}")
            if is_too_wide(page):
                too_wide.append((name, look))

    assert too_wide == []
