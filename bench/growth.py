"""Do list, detail and claim cost the same on ten million rows as on ten thousand?

Two databases stand beside each other, filled by the same statement, and are asked in turns by
`bench.growth_probe`. Only SQL is timed: what Django adds would hide how it grows.
"""

import json
import shutil
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from bench.report import Bound, Figure
from bench.stage import BenchError, Stage

SMALL = 10_000
AT_MOST = 3.0
# What a message with its attempt and all indexes takes, and what the log of the writes does.
BYTES_A_ROW, BYTES_OF_LOG = 2_100, 3_000_000_000
INDEX = "message_due"


def measure(stage: Stage, *, rounds: int, rows: int) -> list[Bound]:
    _check_room(stage, rows=rows)
    sizes = {"small": SMALL, "large": rows}
    asked: dict[str, list[dict[str, Any]]] = {name: [] for name in sizes}
    with ExitStack() as stack:
        databases = {name: _make(stage, stack, name, rows=count) for name, count in sizes.items()}
        for number in range(rounds):
            for name in list(sizes)[:: 1 if number % 2 == 0 else -1]:
                asked[name].append(_ask(stage, databases[name]))
    for name, found in asked.items():
        if any(INDEX not in " ".join(answer["plan"]) for answer in found):
            plan = " > ".join(found[-1]["plan"])
            print(f"growth: with {sizes[name]:,} rows the claim does not use {INDEX}: {plan}")
    return [_bound(what, asked, rows=rows) for what in asked["small"][0]["p50_ms"]]


def _bound(what: str, asked: dict[str, list[dict[str, Any]]], *, rows: int) -> Bound:
    small, large = (
        [answer["p50_ms"][what] for answer in asked[name]] for name in ("small", "large")
    )
    figure = Figure(what, large, "", small)
    note = f"{figure.rate:.2f} ms; {Figure(what, small).rate:.2f} ms with {SMALL:,}"
    return Bound(f"{what}, {rows:,} rows", figure.ratio or 0.0, "x", AT_MOST, note)


def _make(stage: Stage, stack: ExitStack, name: str, *, rows: int) -> str:
    address = stage.another_database(stack, name)
    overrides = {"DATABASE_URL": address}
    stage.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], overrides=overrides)
    command = [sys.executable, "-m", "bench.growth_fill", str(rows)]
    print(f"growth: {stage.run(command, overrides=overrides).strip()}", flush=True)
    return address


def _ask(stage: Stage, address: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.growth_probe"]
    found: dict[str, Any] = json.loads(stage.run(command, overrides={"DATABASE_URL": address}))
    return found


def _check_room(stage: Stage, *, rows: int) -> None:
    """Looks before it fills the disk, where the server's folder is on this machine."""
    needed = rows * BYTES_A_ROW + BYTES_OF_LOG
    row = stage.server.execute("SHOW data_directory").fetchone()
    folder = Path(str(row[0]) if row else "/")
    free: int | None = None
    with suppress(OSError):
        free = shutil.disk_usage(folder).free
    shown = "unknown" if free is None else f"{free / 1e9:,.0f} GB"
    print(f"growth: {rows:,} rows need about {needed / 1e9:,.0f} GB; free: {shown}.", flush=True)
    if free is not None and free < needed * 1.5:
        raise BenchError("That is too close. Ask for fewer with --rows.")
