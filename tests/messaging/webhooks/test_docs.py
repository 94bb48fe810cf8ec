"""The code of `docs/webhooks.md` is run against calls as they come."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from messaging.callbacks import ladder, signing
from messaging.models import WebhookEvent

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "webhooks.md").read_text()
# How each is called here: with a call as JSON in the environment.
PYTHON = """
import json, os
secret, headers, body = json.loads(os.environ["CALL"])
print(verify(secret, headers, body.encode()))
"""
NODE = """
const [secret, headers, body] = JSON.parse(process.env.CALL);
console.log(verify(secret, headers, Buffer.from(body)));
"""
BODY = '{"data":{"reference":"größe ✓"},"type":"message.failed"}'.encode()


def code(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return found


def call(*, forged=False, minutes=0):
    """Secret, headers and body of a call while its secret is being rotated."""
    secret, other = signing.make_secret(), signing.make_secret()
    now = timezone.now() - timedelta(minutes=minutes)
    headers = signing.headers([other, secret], event_id="01a2", body=BODY, now=now)
    return (signing.make_secret() if forged else secret), headers


def run(command, text, folder, **environment):
    done = subprocess.run(
        [*command, text],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert not done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("options", "verified"), [({}, True), ({"forged": True}, False), ({"minutes": 6}, False)]
)
@pytest.mark.parametrize("language", ["python", "js"])
def test_the_code_tells_ours_from_others(language, options, verified, tmp_path):
    secret, headers = call(**options)
    given = json.dumps([secret, headers, BODY.decode()])
    if language == "python":
        found = run([sys.executable, "-c"], code("python") + PYTHON, tmp_path, CALL=given)
    else:
        node = shutil.which("node")
        if node is None:
            pytest.skip("node is not here")
        found = run([node, "-e"], code("js") + NODE, tmp_path, CALL=given)

    assert found.lower() == str(verified).lower()


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not here")
@pytest.mark.parametrize(
    ("forged", "words"), [(False, "It is ours."), (True, "It is not ours: v1")]
)
def test_the_shells_lines_do_too(forged, words, tmp_path):
    secret, headers = call(forged=forged)
    (tmp_path / "body.json").write_bytes(BODY)
    environment = {
        "SECRET": secret,
        "ID": headers["webhook-id"],
        "TIMESTAMP": headers["webhook-timestamp"],
        "SIGNATURES": headers["webhook-signature"],
    }

    assert run(["sh", "-c"], code("sh"), tmp_path, **environment).startswith(words)


def test_the_page_names_every_event_and_the_whole_ladder():
    for event in WebhookEvent.values:
        assert f"`{event}`" in PAGE or f"`.{event.removeprefix('message.')}`" in PAGE
    hours = [wait.total_seconds() / 3600 for wait in ladder.WAITS]
    assert hours[3:] == [2, 5, 10, 14, 20, 24]
    assert "after 5 seconds, 5 minutes, 30 minutes, and\n2, 5, 10, 14, 20 and 24 hours" in PAGE
