"""A whole installation with a month of messages in it, for operators to work with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.flows.production import Production
from tests.installation import until

MESSAGES = 200_000
PASSWORD = "tests"
# Of whom has a second factor.
FACTOR = "3132333435363738393031323334353637383930"
MAKE_STAFF = f"""
from django.contrib.auth.models import Group
from django.utils import timezone
from accounts.models import SecondFactor, User
from messaging.models import Job

for name, role in (("vera", "Viewer"), ("olga", "Operator"), ("ada", "Administrator")):
    user = User.objects.create_user(name, password="{PASSWORD}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
for name in ("lin", "tina", "tourist"):
    User.objects.create_superuser(name, password="{PASSWORD}")
SecondFactor.objects.create(user=User.objects.get(username="tina"), key="{FACTOR}")
now = timezone.now()
Job.objects.create(
    kind="resend", asked_at=now, started_at=now, finished_at=now, state="done", matched=4000,
    done=3997, passed={{"success": 3}}, filters={{"status": "failed", "application": "1"}},
)
"""
# Of what waits, nothing is due before all is told: an old hour is not counted twice in minutes.
LET_WAIT = """
UPDATE messaging_message
SET due_at = due_at + INTERVAL '1 hour', expires_at = expires_at + INTERVAL '1 hour'
WHERE status IN ('pending', 'unknown')
"""
IS_COUNTED = "SELECT updated_at > %s FROM reporting_progress"


class Console(Production):
    """The demonstration's senders of mail hand it to `self.mail`. Before them come `north` and,
    after it, `south`, which take what any application sends."""

    def furnish(self) -> None:
        # Nobody is lost here; and to make a month of messages takes a transaction its time.
        self.environment["LEASE_SECONDS"] = "60"
        # The demonstration follows it.
        self.add_mailer("local-mailbox")
        self.manage("shell", "--no-imports", "-c", MAKE_STAFF)
        self.manage("generate_demo_data", "--messages", str(MESSAGES), patience=600)
        self.add_mailer("north", "--priority", "40")
        self.add_mailer("south", "--priority", "30")
        self.execute(LET_WAIT)

    def value(self, sql: str, *values: Any) -> Any:
        return self.query(sql, *values)[0][0]

    def id_of(self, table: str, name: str) -> int:
        return int(self.value(f"SELECT id FROM {table} WHERE name = %s", name))

    def wait_until_counted(self) -> None:
        """Then what has happened until now to messages of the newest hours is in the statistics."""
        now = self.value("SELECT now()")
        until(lambda: self.query(IS_COUNTED, now) == [(True,)], seconds=120, what="counted")

    def token_of(self, key: str, secret: str) -> str:
        keys = {"api_key": key, "api_secret": secret}
        return str(self.call("/api/v1/auth/token", keys)["access_token"])

    def refusal(self, call: Callable[[], Any]) -> int:
        """The status with which it is refused; 0 if it is not."""
        try:
            call()
        except HTTPError as error:
            error.close()
            return error.code
        return 0

    def status(self, message_id: str) -> str:
        return str(self.value("SELECT status FROM messaging_message WHERE id = %s", message_id))


@dataclass
class Watch:
    """What browsers asked for, and what they complained of."""

    origin: str
    asked: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self._note(request.url))
        context.on("response", lambda answer: self._judge(answer.status, answer.url))
        context.on("requestfailed", lambda request: self._fail(request))
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _note(self, url: str) -> None:
        self.asked.append(url)
        if not url.startswith((f"{self.origin}/", "data:", "blob:", "about:")):
            self.foreign.append(url)

    def _judge(self, status: int, url: str) -> None:
        if status >= 500:
            self.broken.append(f"{status} {url}")

    def _fail(self, request: Any) -> None:
        # A page that is left gives up what it was loading.
        if "ERR_ABORTED" not in (request.failure or ""):
            self.broken.append(f"{request.failure} {request.url}")

    def _hear(self, message: Any) -> None:
        address = message.location["url"]
        # Chromium asks for it whatever a page says.
        if message.type == "error" and not address.endswith("/favicon.ico"):
            self.complaints.append(f"{message.text} {address}")


class Desk:
    """Where operators sit down: each time a browser that remembers nothing."""

    def __init__(self, browser: Browser, console: Console) -> None:
        self.console = console
        self.url = f"http://{console.bind}"
        self.watch = Watch(self.url)
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    def sit_down(self, **options: Any) -> Page:
        options = {"viewport": {"width": 1440, "height": 1000}} | options
        context = self._browser.new_context(base_url=self.url, **options)
        context.set_default_timeout(15_000)
        self.watch.over(context)
        self._contexts.append(context)
        return context.new_page()

    def log_in(self, username: str, **options: Any) -> Page:
        """The first page after it."""
        page = self.sit_down(**options)
        give_password(page, username)
        expect(page).to_have_url(f"{self.url}/admin/")
        return page

    def leave(self) -> None:
        while self._contexts:
            self._contexts.pop().close()


def give_password(page: Page, username: str, password: str = PASSWORD) -> None:
    page.goto("/admin/login/?next=/admin/")
    page.locator("input[name=username]").fill(username)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]:not([name=language])").last.click()


@dataclass(frozen=True)
class Key:
    page: str
    api_key: str
    api_secret: str


def create_key(page: Page, application: str, name: str) -> Key:
    """As an administrator does it, from the overview."""
    page.goto("/admin/")
    side = page.locator("#nav-sidebar")
    side.get_by_role("link", name="Applications", exact=False).click()
    page.get_by_role("link", name=application, exact=True).click()
    page.get_by_role("link", name="Create key").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Copy the secret now")).to_be_visible()
    key = page.get_by_label("api_key").input_value()
    secret = page.get_by_label("api_secret").input_value()
    page.get_by_role("link", name="I have copied it").click()
    return Key(page.url, key, secret)
