"""The production way of all channels but e-mail: gunicorn, a worker and beat as processes, and one
imitation of each provider in the process of the tests."""

import json
import re
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

import redis

from notification_platform.embedded.providers.aliyun import KEY_ID, SECRET, SIGN_NAME, SentSms
from notification_platform.embedded.providers.chat import ChatServer
from tests.flows.caller import Caller
from tests.flows.production import remove_queues
from tests.flows.providers import (
    BUILDS,
    OPERATIONS,
    SECOND_KEY_ID,
    SECOND_SECRET,
    SECOND_SIGN_NAME,
    Aliyun,
    Official,
    Wecom,
)
from tests.installation import CELERY, Installation, until

CHAT_TOKEN = "tk_0123456789abcdefghijklmnopqrs"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
TELL_HOOKS = """
import json
from messaging import hooks
from messaging.models import Sender
print(json.dumps({s.name: hooks.hook_token(s) for s in Sender.objects.all() if s.adapter}))
"""


class Account(NamedTuple):
    """A sender as an operator enters it."""

    name: str
    adapter: str
    options: dict[str, str]
    secrets: dict[str, str]
    further: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        options = [f"--option={name}={value}" for name, value in self.options.items()]
        secrets = [f"--secret={name}" for name in self.secrets]
        return [
            "add_sender",
            self.name,
            "--adapter",
            self.adapter,
            *options,
            *secrets,
            *self.further,
        ]


class Channels(Installation):
    """Use as a context manager. `caller` is the application of most tests; the reports of the
    Official Account of the other one, `guarded`, are encrypted."""

    caller: Caller
    guarded: Caller

    def __init__(
        self, *, folder: Path, postgres_url: str, rabbitmq_url: str, redis_url: str
    ) -> None:
        super().__init__(
            folder=folder,
            postgres_url=postgres_url,
            broker_url=rabbitmq_url,
            redis_url=redis_url,
        )
        # The imitated chat is on loopback.
        self.environment |= {"CHAT_ALLOWED_NETWORKS": "127.0.0.0/8"}
        self.sms, self.wecom, self.official = Aliyun(), Wecom(), Official()
        self.chat = ChatServer(token=CHAT_TOKEN)
        self.hook_urls: dict[str, str] = {}
        self._ending = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for provider in (self.sms, self.wecom, self.official, self.chat):
                stack.enter_context(provider)
            broker_url = self.environment["CELERY_BROKER_URL"]
            stack.callback(remove_queues, broker_url, prefix=self.database)
            stack.callback(self._forget_cached)
            stack.callback(self.drop)
            stack.callback(self._kill_all)
            self._start()
            self._ending = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def report_sms(self, *many: SentSms, code: str = "DELIVERED", sender: str = "sms-1") -> bool:
        """What the carrier says of them goes to the sender's address; whether that was thanked."""
        self.sms.report_url = self.hook_urls[sender]
        return self.sms.report(*many, code=code)

    def listen(self, *, is_encrypted: bool) -> Caller:
        """Have WeChat post to the account that takes it so. Whose account that is."""
        name = "official-safe" if is_encrypted else "official-plain"
        self.official.callback_url = self.hook_urls[name]
        self.official.encoding_aes_key = AES_KEY if is_encrypted else ""
        self.official.blocking.clear()
        self.official.events.clear()
        return self.guarded if is_encrypted else self.caller

    def until_early_in_a_minute(self) -> None:
        """Limits of senders go by the minutes of the clock."""
        until(lambda: time.time() % 60 < 50, seconds=15, what="early in a minute")

    def secrets(self) -> list[str]:
        """Of all senders, their addresses for reports, and the access tokens that are good."""
        entered = [secret for one in self._accounts() for secret in one.secrets.values()]
        hooks = [url.split("/")[-2] for url in self.hook_urls.values()]
        return [*entered, *hooks, *self.wecom.tokens.given, *self.official.tokens.given]

    def a_minute_passes(self) -> None:
        """For the limits of senders, those that rest, and what waits for them."""
        self.execute(
            "UPDATE messaging_senderwindow SET started_at = started_at - interval '1 minute' "
            "WHERE \"window\" = 'minute';"
            "UPDATE messaging_sender SET benched_until = benched_until - interval '90 seconds';"
            "UPDATE messaging_message SET due_at = due_at - interval '90 seconds' "
            "WHERE status = 'pending' AND reason = 'no_sender'"
        )

    def _start(self) -> None:
        self.create()
        self.start_web()
        # As docker/entrypoint.sh does.
        self.start("worker", *CELERY, "worker", "-P", "threads", "-c", "4")
        self.start_beat()
        made = self._set_up()
        keys = re.findall(r"API (?:key|secret): +(\S+)", made)
        tokens = json.loads(made.splitlines()[-1])
        self.hook_urls = {
            name: f"http://{self.bind}/hooks/{token}/reports" for name, token in tokens.items()
        }
        until(lambda: self.status_of("/health/ready") == 200, seconds=60, what="ready")
        self.caller = Caller(self.bind, api_key=self.api_key, api_secret=self.api_secret)
        self.guarded = Caller(self.bind, api_key=keys[0], api_secret=keys[1])

    def _set_up(self) -> str:
        """What an operator does by commands, in one process: each start of Django takes a second
        or two."""
        accounts = self._accounts()
        calls = [
            ["create_api_key", "guarded"],
            ["import_templates", "--publish"],
            *(account.arguments() for account in accounts),
        ]
        given = "".join(f"{secret}\n" for one in accounts for secret in one.secrets.values())
        code = f"from django.core.management import call_command\nfor each in {calls!r}:\n"
        code += f"    call_command(*each)\n{TELL_HOOKS}"
        return self.manage("shell", "--no-imports", "-c", code, given=given)

    def _kill_all(self) -> None:
        for name in list(self.processes):
            self.kill(name)

    def _forget_cached(self) -> None:
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as client:
            for key in client.scan_iter(f"{self.database}:*", count=1000):
                client.delete(key)

    def _accounts(self) -> list[Account]:
        app = self.wecom.apps[0]
        official = {"app_id": self.official.app_id, "api_url": self.official.url}
        secrets = {
            "app_secret": self.official.secret,
            "callback_token": self.official.callback_token,
        }
        return [
            Account(
                "sms-1",
                "aliyun_sms",
                {"access_key_id": KEY_ID, "sign_name": SIGN_NAME, "api_url": self.sms.url},
                {"access_key_secret": SECRET},
                ("--priority", "10"),
            ),
            Account(
                "sms-2",
                "aliyun_sms",
                {
                    "access_key_id": SECOND_KEY_ID,
                    "sign_name": SECOND_SIGN_NAME,
                    "template_ids": "SMS_100000002=SMS_900000002",
                    "api_url": self.sms.url,
                },
                {"access_key_secret": SECOND_SECRET},
            ),
            Account(
                "wecom-1",
                "wecom_app",
                {
                    "corp_id": self.wecom.corp_id,
                    "agent_id": str(app.agent_id),
                    "api_url": self.wecom.url,
                },
                {"secret": app.secret},
            ),
            Account("ops-robot", "wecom_robot", {"api_url": self.wecom.url}, {"key": OPERATIONS}),
            Account("build-robot", "wecom_robot", {"api_url": self.wecom.url}, {"key": BUILDS}),
            Account(
                "official-plain", "wechat_official", official, secrets, ("--application", "flows")
            ),
            Account(
                "official-safe",
                "wechat_official",
                official,
                secrets | {"encoding_aes_key": AES_KEY},
                ("--application", "guarded"),
            ),
            Account(
                "ops-chat",
                "apprise",
                {},
                {"url": f"ntfy://{CHAT_TOKEN}@127.0.0.1:{self.chat.port}/releases?auth=token"},
            ),
        ]
