import pytest

from tests.imitations.canary import Canary


@pytest.fixture(scope="module")
def canary():
    canary = Canary()
    yield canary
    canary.end()
    assert canary.connections == 0
