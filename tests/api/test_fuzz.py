"""What the document allows is accepted, what it does not is refused, and it names every answer:
schemathesis asks the running server. `make fuzz EXAMPLES=5000` asks for longer, and each time
something else; here it asks the same each time, so that a failure is the change's."""

import os

import pytest

from tests.api.fuzz import fuzz
from tests.api.server import ApiServer

SEED = "264480240732627994179509778960592770651"


@pytest.mark.timeout(1800)
def test_the_api_keeps_what_its_document_promises(server: ApiServer):
    examples = int(os.environ.get("FUZZ_EXAMPLES", "200"))

    done = fuzz(server, examples=examples, arguments=["--seed", SEED])

    faults = [line for line in server.log("web").splitlines() if '"level": "error"' in line]
    assert done.returncode == 0, done.stdout[-8000:]
    assert not faults, faults[:3]
