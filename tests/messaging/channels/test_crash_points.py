"""Killed at each point of a send, a process leaves the provider with what the point promises."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from messaging.channels.aliyun_sms import AliyunSms
from messaging.channels.base import Handed, Standing
from notification_platform.embedded.providers.aliyun import AliyunSmsServer
from tests.imitations.http_provider import SECRET, HttpProvider
from tests.imitations.smtp import SmtpServer
from tests.messaging.channels.aliyun import NUMBER, sms_account

SEND = """
import sys
import tests.environment
import django
django.setup()
from messaging.channels.registry import ADAPTERS
from tests.messaging.channels.outbound import make_account, make_outbound
name, options, credentials = sys.argv[1], eval(sys.argv[2]), eval(sys.argv[3])
adapter = ADAPTERS[name](make_account(options, credentials))
adapter.send(make_outbound(html="<p>" + "0123456789" * 500))
adapter.close()
"""
SEND_SMS = """
import sys
import tests.environment
import django
django.setup()
from messaging.channels.base import Outbound
from messaging.channels.registry import ADAPTERS
from tests.messaging.channels.aliyun import sms_content
from tests.messaging.channels.outbound import make_account
name, options, credentials = sys.argv[1], eval(sys.argv[2]), eval(sys.argv[3])
adapter = ADAPTERS[name](make_account(options, credentials))
adapter.send(Outbound("attempt-1", "<message-1@notifications.example.com>", sms_content()))
"""
ROOT = Path(__file__).parents[3]


def send_and_crash(
    folder: Path,
    point: str,
    adapter: str,
    options: dict,
    credentials: dict,
    *flags: str,
    script: str = SEND,
) -> int:
    """The exit code of a process that sends one message, and is to die at `point`."""
    armed = folder / "armed"
    armed.touch()
    environment = os.environ | {
        "CRASH_AT": f"{point}@{armed}",
        "DJANGO_SETTINGS_MODULE": "notification_platform.settings",
    }
    command = [sys.executable, *flags, "-c", script, adapter, repr(options), repr(credentials)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


def wait_for(count: int, taken: list) -> int:
    """How many there are, once there are `count` or a time has passed in which there could be."""
    until = time.monotonic() + (30 if count else 0.3)
    while len(taken) < count and time.monotonic() < until:
        time.sleep(0.01)
    return len(taken)


@pytest.mark.parametrize("is_pipelined", [False, True])
@pytest.mark.parametrize(
    ("point", "taken"), [("mid_data", 0), ("after_dot", 1), ("after_reply", 1)]
)
def test_a_process_that_dies_while_it_sends_by_smtp(server, tmp_path, point, taken, is_pipelined):
    server.offers_pipelining = is_pipelined
    options = {"host": "127.0.0.1", "port": server.port, "security": "none"}

    code = send_and_crash(tmp_path, point, "smtp", options, {})

    assert code == -signal.SIGKILL
    assert wait_for(taken, server.mails) == taken


@pytest.mark.parametrize(
    ("point", "taken"), [("before_request", 0), ("after_request", 1), ("after_reply", 1)]
)
def test_a_process_that_dies_while_it_sends_through_a_provider(tmp_path, point, taken):
    with HttpProvider("postmark") as provider:
        options = {"backend": "postmark", "api_url": provider.url}

        code = send_and_crash(tmp_path, point, "anymail", options, {"server_token": SECRET})

        assert code == -signal.SIGKILL
        assert wait_for(taken, provider.sent) == taken


@pytest.mark.parametrize(
    ("point", "standing"),
    [
        ("before_request", Standing.ABSENT),
        ("after_request", Standing.TAKEN),
        ("after_reply", Standing.TAKEN),
    ],
)
def test_a_process_that_dies_while_it_sends_an_sms_is_looked_up(tmp_path, point, standing):
    with AliyunSmsServer() as provider:
        account = sms_account(provider)

        code = send_and_crash(
            tmp_path, point, "aliyun_sms", account.options, account.credentials, script=SEND_SMS
        )

        assert code == -signal.SIGKILL
        taken = int(standing is Standing.TAKEN)
        assert wait_for(taken, provider.sent) == taken
        adapter = AliyunSms(account)
        handed_at = datetime.now(UTC) - timedelta(minutes=2)
        assert adapter.look_up(Handed("attempt-1", NUMBER, handed_at)).standing is standing
        adapter.close()


def test_the_points_are_not_there_in_the_image(tmp_path):
    with SmtpServer() as server:
        options = {"host": "127.0.0.1", "port": server.port, "security": "none"}

        code = send_and_crash(tmp_path, "after_dot", "smtp", options, {}, "-O")

    assert (code, len(server.mails)) == (0, 1)
