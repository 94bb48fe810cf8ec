import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clients import Clients
from tests.faults.fleet import Fleet
from tests.faults.services import missing

HERE = Path(__file__).parent


def pytest_itemcollected(item: pytest.Item) -> None:
    """A module has a fleet, and one worker of xdist runs it; two fleets may run side by side.

    Here and not in `pytest_collection_modifyitems`: xdist may have looked at the marks before.
    """
    if HERE not in item.path.parents or "running_fleet" not in getattr(item, "fixturenames", ()):
        return
    item.add_marker(pytest.mark.xdist_group(f"faults-{item.path.stem}"))
    is_long = item.get_closest_marker("faults") is not None
    item.add_marker(pytest.mark.timeout(3600 if is_long else 300))
    if os.environ.get("SKIP_FLOWS") == "1":
        item.add_marker(pytest.mark.skip(reason="faults run once, with PostgreSQL"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The verifier's lines, of green tests too: they are what was shown."""
    lines = [
        (report.nodeid.rpartition("::")[2], line)
        for report in terminalreporter.getreports("passed")
        if report.when == "call" and "tests/faults/" in report.nodeid
        for line in report.capstdout.splitlines()
        if line.startswith(("accepted ", "soak: "))
    ]
    for name, line in lines:
        terminalreporter.write_line(f"{name}\n    {line}")


@pytest.fixture(scope="module")
def running_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    needs_binaries()
    with Fleet(folder=tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def fleet(running_fleet: Fleet) -> Fleet:
    """The module's fleet as if it were new: idle, well and empty."""
    running_fleet.reset()
    return running_fleet


@pytest.fixture
def clients(fleet: Fleet) -> Iterator[Clients]:
    with Clients(fleet) as found:
        yield found


def needs_binaries() -> None:
    """Skip, or fail where everything has to be there."""
    if absent := missing():
        words = f"needs {', '.join(absent)}"
        if os.environ.get("REQUIRE_SERVICES") == "1":
            pytest.fail(words)
        pytest.skip(words)
