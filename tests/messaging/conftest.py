import pytest

from messaging.channels.base import Found, Standing
from tests.fakes import FakeEmail


@pytest.fixture
def asked(adapter, monkeypatch):
    """The fake adapter can be asked: it says what `asked` holds by sender, or raises it."""
    answers: dict[str, Found | Exception] = {}
    adapter.calls = []

    def look_up(self, handed):
        self.calls.append(handed)
        answer = answers.get(self.account.name, Found(Standing.UNSURE))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(FakeEmail, "look_up", look_up)
    monkeypatch.setattr(FakeEmail, "can_look_up", True)
    return answers
