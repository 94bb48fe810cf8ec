import pytest

from messaging.channels.base import Found, Standing
from tests.factories import make_template, make_version
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


@pytest.fixture
def code(db):
    """A template of SMS."""
    template = make_template(code="login-code", channel="sms", priority="high")
    return make_version(
        template=template,
        status="published",
        subject="",
        body="Your code is {{ name }}.",
        body_format="text",
        html="",
        provider_template_id="SMS_1",
        provider_signature="Example",
    )


@pytest.fixture
def notice(db):
    """A template of a WeChat Official Account."""
    template = make_template(code="order-paid", channel="wechat_official")
    return make_version(
        template=template,
        status="published",
        subject="",
        body="",
        body_format="text",
        html="",
        provider_template_id="TM1",
        provider_kind="subscribe",
        provider_parameters={"thing1": "{{ name }}"},
    )
