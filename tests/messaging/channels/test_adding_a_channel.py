"""`docs/adding-a-channel.md` is followed here to the letter: its code is what runs."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from messaging.channels.registry import ADAPTERS
from notification_platform.embedded import local_senders, parts
from tests.messaging.channels.http_contract import outbound_of

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "adding-a-channel.md").read_text(encoding="utf-8")
# The blocks by the file that each belongs into, which its first line names.
BLOCKS = dict(re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE, re.DOTALL))
IMITATION, ADAPTER, CONTRACT, ROW = BLOCKS


def follow(path: str) -> ModuleType:
    """What is in the block for `path`, as the module that it would be."""
    name = path.removesuffix(".py").replace("/", ".")
    module = sys.modules[name] = ModuleType(name)
    exec(compile(BLOCKS[path], path, "exec"), module.__dict__)
    return module


follow(IMITATION)
pager = follow(ADAPTER)
contract = follow(CONTRACT)
# Collected from here: all of `HttpContract`, on the adapter of the document.
TestPager = contract.TestPager


def test_the_document_has_all_parts():
    assert list(BLOCKS) == [
        "notification_platform/embedded/providers/pager.py",
        "messaging/channels/pager.py",
        "tests/messaging/channels/test_pager.py",
        "notification_platform/embedded/local_senders.py",
    ]
    assert PAGE.count("```python") == len(BLOCKS)


def test_its_row_brings_the_provider_to_make_run(monkeypatch, tmp_path):
    row = eval(BLOCKS[ROW], {"LocalSender": local_senders.LocalSender})
    monkeypatch.setitem(ADAPTERS, "pager", pager.Pager)
    monkeypatch.setattr(local_senders, "LOCAL_SENDERS", (row,))

    running = parts.start_providers(tmp_path)
    try:
        ((local, provider),) = running.senders
        options, credentials = local.account(provider)
        adapter = contract.pager(options["api_url"], credentials["token"])
        adapter.send(outbound_of(pager.TextContent(to=[("", "4711")], text="Come down.")))
        adapter.close()
    finally:
        running.stop()

    (kept,) = tmp_path.glob("*.json")
    assert '"channel": "chat"' in kept.read_text()
    assert "Come down." in kept.read_text()


def test_its_lines_of_the_registry_stand_where_it_says():
    (diff,) = re.findall(r"```diff\n(.*?)```", PAGE, re.DOTALL)
    file, *lines = [line[1:] for line in diff.splitlines()]
    there = (ROOT / file.removeprefix("# ")).read_text()

    for kept in (line[1:] for line in diff.splitlines()[1:] if line.startswith(" ")):
        assert kept in there
    assert len(lines) == 3


def test_every_file_and_name_that_it_speaks_of_is_there():
    outside = re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)
    paths = re.findall(r"`([a-z_-]+/[a-z_/.-]*|[A-Z]+\.md)`", outside)
    sources = "".join(
        file.read_text(encoding="utf-8")
        for folder in ("core", "messaging", "notification_platform", "templates_app")
        for file in (ROOT / folder).rglob("*.py")
    )
    names = re.findall(r"`([A-Za-z_]{5,})`", outside)

    assert len(paths) > 8
    assert [path for path in paths if not (ROOT / path).exists() and "pager" not in path] == []
    missing = {name for name in names if name not in sources} - {"add_sender", "HttpContract"}
    assert missing == set()


@pytest.mark.parametrize("path", [IMITATION, ADAPTER, CONTRACT])
def test_its_code_is_in_the_style_of_the_house(path):
    # The files are not there, and so ruff does not know whose they are.
    ours = "lint.isort.known-first-party=['messaging', 'notification_platform', 'tests']"
    for command in (["check", "--config", ours], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", path, "-"],
            input=BLOCKS[path],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )

        assert done.returncode == 0, done.stdout + done.stderr
