import pytest

from tests.factories import make_template, make_version


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
