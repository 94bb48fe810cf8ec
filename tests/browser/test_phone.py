"""The local phone as a newcomer sees it."""

import json

import pytest
from django.urls import path
from playwright.sync_api import expect

from core.ids import uuid7
from notification_platform import phone
from notification_platform.urls import handler404 as handler404
from notification_platform.urls import urlpatterns as usual

# Pages of the phone are there only where the embedded mode has made its folder.
urlpatterns = [*usual, path("phone", phone.show, name="phone")]

MESSAGES = [
    {
        "channel": "sms",
        "to": "+8613800138000",
        "text": "【示例】您的验证码为 482913，5 分钟内有效。",
        "details": {"template": "SMS_154950909", "signature": "示例"},
    },
    {
        "channel": "wechat",
        "to": "zhangsan",
        "title": "审批通过",
        "text": "您的请假申请已通过。\n经办人：李四",
        "details": {"msgtype": "textcard"},
    },
    {
        "channel": "chat",
        "to": "newcomers",
        "title": "<script>document.title = 'taken'</script>",
        "text": "<img src=x onerror=\"document.title='taken'\"> " + "long" * 60,
        "details": {"service": "ntfy", "markdown": False},
    },
]


@pytest.mark.parametrize("width", [1200, 390])
def test_messages_are_read_like_on_a_phone(open_browser, photograph, settings, tmp_path, width):
    settings.PHONE_DIR = str(tmp_path)
    settings.ROOT_URLCONF = __name__
    for message in MESSAGES:
        (tmp_path / f"{uuid7()}.json").write_text(json.dumps(message))
    page = open_browser(viewport={"width": width, "height": 900})

    page.goto("/phone")

    expect(page.locator("article")).to_have_count(3)
    expect(page.locator("article").nth(2)).to_contain_text("482913")
    expect(page).to_have_title("Local phone")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    photograph(page, f"phone-{width}")
