"""Asks the running API everything that its OpenAPI document allows and much that it does not:
`make fuzz EXAMPLES=5000`, and in the suite with fewer. schemathesis checks every answer against the
document; `schemathesis.toml` beside this says what it expects and why."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.api.server import ApiServer

HERE = Path(__file__).parent
TOOL = Path(sys.executable).parent / "schemathesis"


def fuzz(server: ApiServer, *, examples: int, arguments: list[str]) -> subprocess.CompletedProcess:
    """Raises nothing; the tool's words are in `stdout`."""
    configuration = server.folder / "schemathesis.toml"
    text = (HERE / "schemathesis.toml").read_text()
    text = text.replace("WFC_PATH", str(write_users(server)))
    configuration.write_text(text.replace("HOOKS", str(HERE / "fuzz_hooks.py")))
    command = [str(TOOL), "--config-file", str(configuration), "run"]
    command += [f"http://{server.bind}/api/schema", "--max-examples", str(examples), *arguments]
    return subprocess.run(
        command,
        # What failed once is not asked first by the next run: each stands for itself.
        cwd=server.folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def write_users(server: ApiServer) -> Path:
    """Two applications as the tool's file of users: what one makes, the other must not see."""
    lines = ["auth:"]
    for name, token in zip(("owner", "neighbour"), server.tokens, strict=True):
        lines += [
            f"- name: {name}",
            "  fixedHeaders:",
            "  - name: Authorization",
            f"    value: Bearer {token}",
        ]
    path = server.folder / "users.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=200, help="Of each operation and phase.")
    known, others = parser.parse_known_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        ApiServer(folder=Path(folder)) as server,
    ):
        done = fuzz(server, examples=known.examples, arguments=others)
        print(done.stdout)
        faults = [line for line in server.log("web").splitlines() if '"level": "error"' in line]
        print("\n".join(faults[:20]))
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
