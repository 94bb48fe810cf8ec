"""What a newcomer does: `make run` on a machine that has nothing but Python."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from email import message_from_bytes
from pathlib import Path

import psutil
import pytest
from standardwebhooks.webhooks import Webhook

from tests.imitations.ports import free_port
from tests.imitations.webhook_receiver import WebhookReceiver
from tests.installation import until

ROOT = Path(__file__).resolve().parent.parent.parent


class Embedded:
    def __init__(self, data: Path, port: int, **extra: str) -> None:
        self.port = port
        # As a login shell has it, and with what must not lead it astray.
        environment = {"PATH": os.environ["PATH"], "HOME": str(data), "PYTHONUNBUFFERED": "1"}
        environment["DATABASE_URL"] = "postgres://nobody@127.0.0.1:1/nothing"
        environment |= extra
        command = (sys.executable, "-m", "notification_platform.embedded")
        self.process = subprocess.Popen(
            [*command, "--port", str(port), "--data", str(data)],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> "Embedded":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def read_until(self, words: str) -> str:
        lines = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            lines.append(line)
            if words in line:
                return "".join(lines)
        pytest.fail("it ended: " + "".join(lines))

    def stop(self) -> float:
        """Ctrl-C in its terminal; seconds until nothing of it is left."""
        started = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=10)
        return time.monotonic() - started


def shell(command: str, **environment: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout


def test_it_shows_one_mail_through_the_whole_platform_and_ends_on_ctrl_c(tmp_path):
    with Embedded(tmp_path, free_port()) as running:
        told = running.read_until("runs until Ctrl-C")
        memory = psutil.Process(running.process.pid).memory_info().rss
        children = psutil.Process(running.process.pid).children(recursive=True)
        mail = urllib.request.urlopen(re.search(r"mail +(http\S+)", told)[1], timeout=5).read()
        took = running.stop()

    states = re.findall(r"^  \d\d:\d\d:\d\d\.\d{3}  (\w+)", told, re.MULTILINE)
    assert states == ["pending", "sending", "success"]
    assert "sender  local-mailbox" in told
    assert "Your first notification 你好" in mail.decode()
    assert memory < 200_000_000
    assert children == []
    assert took < 3


def test_the_printed_curl_lines_work_as_they_stand(tmp_path):
    with Embedded(tmp_path, free_port()) as running:
        told = running.read_until("runs until Ctrl-C")
        lines = told.partition("Try it yourself")[2].partition("It runs until")[0]
        answers = shell(lines.replace("curl -X", "curl -s -X").replace('curl "', 'curl -s "'))
        *accepted, listed = (
            json.loads(line) for line in answers.replace("}{", "}\n{").splitlines()
        )
        token = shell(lines.partition("  curl -X POST")[0] + "echo $TOKEN").strip()
        ends = [_end_of(running, one["id"], token) for one in accepted]
        phone = urllib.request.urlopen(f"http://127.0.0.1:{running.port}/phone", timeout=5)
        page = phone.read().decode()

    assert [one["status"] for one in accepted] == ["pending"] * 5
    assert not any(one["warnings"] for one in accepted)
    assert listed["results"][-1]["reference"].startswith("make run")
    assert [end["status"] for end in ends] == ["success"] * 5
    # The imitation of the SMS provider reports as the real one does.
    assert ends[2]["feedback"] == "delivered"
    for arrived in ("您的验证码是482913", "**构建** 已通过", "Disk is 95 % full"):
        assert arrived in page


def _end_of(running: "Embedded", message_id: str, token: str) -> dict:
    """The message when it is through, and its provider has reported if that is to come."""
    url = f"http://127.0.0.1:{running.port}/api/v1/messages/{message_id}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})

    found: dict = {}

    def is_through() -> bool:
        found.update(json.loads(urllib.request.urlopen(request, timeout=10).read()))
        is_reported = found["channel"] != "sms" or found["feedback"]
        return found["status"] == "success" and bool(is_reported)

    until(is_through, seconds=30, what="through")
    return found


def test_an_uploaded_file_arrives_in_the_mailbox(tmp_path):
    def call(path, data=None, content_type="application/json"):
        headers = {"Content-Type": content_type} | authorization
        request = urllib.request.Request(f"{api}/{path}", data=data, headers=headers)
        return json.loads(urllib.request.urlopen(request, timeout=10).read())

    picture = b"\x89PNG\r\n\x1a\n" + os.urandom(2_000_000)
    with Embedded(tmp_path, free_port()) as running:
        told = running.read_until("runs until Ctrl-C")
        api, authorization = f"http://localhost:{running.port}/api/v1", {}
        key = re.search(r'\{"api_key": "\S+", "api_secret": "\S+"\}', told)[0]
        token = call("auth/token", key.encode())["access_token"]
        authorization = {"Authorization": f"Bearer {token}"}
        head = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        body = head + picture + b"\r\n--limit--\r\n"
        file = call("attachments", body, "multipart/form-data; boundary=limit")
        mail = {"to": "a@example.com", "subject": "S", "attachment_ids": [file["id"]]}
        sent = call("messages/email/send", json.dumps(mail | {"content": "C"}).encode())
        path = f"messages/{sent['id']}"
        until(lambda: call(path)["status"] == "success", seconds=30, what="the mail")
        running.stop()

    newest = max((tmp_path / "mailbox").glob("*.eml"))
    parts = message_from_bytes(newest.read_bytes()).walk()
    arrived = next(p.get_payload(decode=True) for p in parts if p.get_filename() == "a.png")
    assert arrived == picture
    assert hashlib.sha256(arrived).hexdigest() == file["sha256"]
    assert len(list((tmp_path / "attachments").glob("*/*"))) == 1


def test_a_chat_arrives_on_the_phone_at_every_start(tmp_path):
    def send():
        done = subprocess.run(
            [sys.executable, "manage.py", "test_sender", "ops-chat", "--to", "ops-chat"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "ENV_FILE": str(tmp_path / "embedded.env")},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr

    for _ in range(2):
        with Embedded(tmp_path, free_port()) as running:
            told = running.read_until("runs until Ctrl-C")
            send()
            url = re.search(r"phone +(http\S+)", told)[1]
            page = urllib.request.urlopen(url, timeout=5).read().decode()
            children = psutil.Process(running.process.pid).children(recursive=True)
            took = running.stop()
        assert children == []
        assert took < 3

    # Each start has its imitation on another port, and what arrived before is kept.
    assert page.count("Test of sender ops-chat") == 2


def test_a_second_start_keeps_key_password_and_messages(tmp_path):
    def start():
        with Embedded(tmp_path, free_port()) as running:
            told = running.read_until("runs until Ctrl-C")
            listed = shell(re.sub(r"(?s).*Try it yourself|It runs until.*", "", told))
            running.stop()
        secrets = (
            re.search(r'"api_secret": "(\S+)"', told)[1],
            re.search(r"password (\S+)", told)[1],
        )
        return secrets, json.loads(listed.replace("}{", "}\n{").splitlines()[-1])["total"]

    first_secrets, first_total = start()
    second_secrets, second_total = start()

    assert first_secrets == second_secrets
    # What the guide sends is the same again and within its window; what is shown is not.
    assert second_total > first_total
    for name in ("embedded.env", "access.json", "notifications.sqlite3"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_taken_port_is_said_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Embedded(tmp_path, port) as running:
            said, _ = running.process.communicate(timeout=20)

    assert running.process.returncode == 1
    assert said == (
        f"Port {port} is taken. Stop what uses it, or serve elsewhere: make run PORT={port + 1}\n"
    )


def test_a_second_one_on_the_same_data_is_refused(tmp_path):
    with Embedded(tmp_path, free_port()) as running:
        running.read_until("runs until Ctrl-C")
        with Embedded(tmp_path, free_port()) as second:
            said, _ = second.process.communicate(timeout=20)

    assert f"running already (process {running.process.pid})" in said


def test_it_tells_a_receiver_on_the_same_machine_when_it_may(tmp_path):
    def call(path, body, token=""):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        url = f"http://127.0.0.1:{running.port}/api/v1/{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        return json.load(urllib.request.urlopen(request, timeout=10))

    allowed = {"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8", "WEBHOOK_ALLOW_HTTP": "true"}
    with WebhookReceiver() as receiver, Embedded(tmp_path, free_port(), **allowed) as running:
        told = running.read_until("runs until Ctrl-C")
        names = ("api_key", "api_secret")
        keys = {name: re.search(rf'"{name}": "(\S+)"', told)[1] for name in names}
        token = call("auth/token", keys)["access_token"]
        secret = call("webhooks", {"url": receiver.url}, token)["secret"]
        message = {"to": "ann@example.com", "subject": "Hello", "content": "<p>Hello</p>"}
        # One second passes until an endpoint is known to every part.
        time.sleep(1.1)
        message_id = call("messages/email/send", message, token)["id"]
        until(lambda: bool(receiver.heard), seconds=20, what="told")
        running.stop()

    (heard,) = receiver.heard
    body = Webhook(secret).verify(heard.body, heard.headers)
    assert (body["type"], body["data"]["id"]) == ("message.success", message_id)
