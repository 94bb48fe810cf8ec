"""What the document allows is accepted, what it does not is refused, and it names every answer:
schemathesis asks the running server. `make fuzz EXAMPLES=5000` asks for longer."""

import os

import pytest

from tests.api.fuzz import fuzz
from tests.api.server import ApiServer


@pytest.mark.timeout(1800)
def test_the_api_keeps_what_its_document_promises(server: ApiServer):
    examples = int(os.environ.get("FUZZ_EXAMPLES", "200"))

    done = fuzz(server, examples=examples, arguments=[])

    faults = [line for line in server.log("web").splitlines() if '"level": "error"' in line]
    assert done.returncode == 0, done.stdout[-8000:]
    assert not faults, faults[:3]
