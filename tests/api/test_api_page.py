"""`docs/api.md`: its calls work as they stand, and it names what there is."""

import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import Webhook

from core.errors import Code
from tests.api.document import FILE
from tests.api.server import ApiServer

PAGE = FILE.parent / "api.md"


def blocks() -> list[str]:
    found = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in found if "curl" in block]


def test_every_call_works_as_it_stands(server: ApiServer, tmp_path: Path):
    environment = {
        "PATH": os.environ["PATH"],
        "BASE": f"http://{server.bind}/api/v1",
        "API_KEY": server.api_key,
        "API_SECRET": server.api_secret,
        "TOKEN": server.tokens[0],
    }
    assert len(blocks()) >= 8

    for number, block in enumerate(blocks()):
        message_id = server.send(server.tokens[0], subject=f"Block {number}", delay_seconds=3600)
        script = "set -e\n" + block.replace("curl ", "curl --silent --show-error --fail-with-body ")
        done = subprocess.run(
            ["bash", "-c", script],
            env=environment | {"ID": message_id},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        assert done.returncode == 0, block + done.stdout + done.stderr


def test_its_check_of_a_signature_takes_ours_and_no_other():
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    check, secret, body = names["is_from_the_platform"], "whsec_" + "QUJD" * 8, b'{"a": 1}'
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": "v1,bm8= " + Webhook(secret).sign("msg_1", now, body.decode()),
    }

    assert check(secret, headers, body)
    assert not check(secret, headers, body + b" ")
    assert not check("whsec_" + "QUJE" * 8, headers, body)
    assert not check(secret, headers | {"webhook-timestamp": "1"}, body)


def test_every_code_that_it_names_is_one():
    named = set(re.findall(r"`(?:\d{3} )?([a-z]+(?:_[a-z]+)+)` \(\d{3}\)", PAGE.read_text()))

    assert len(named) > 5
    assert named <= set(Code)
