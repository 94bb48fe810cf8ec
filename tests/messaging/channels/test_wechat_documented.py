"""The pages for operators name every code and field that the adapters know, in both languages."""

from pathlib import Path

import pytest

from messaging.channels import wechat_codes, wechat_fields, wecom_codes
from messaging.channels.wechat_official import WechatOfficial
from messaging.channels.wecom_app import WecomApp
from messaging.channels.wecom_robot import WecomRobot

PAGES = Path(__file__).parents[3] / "docs/channels"


def words(page):
    return (PAGES / page).read_text()


@pytest.mark.parametrize("language", ["", ".zh-hans"])
@pytest.mark.parametrize(
    ("page", "codes"), [("wechat-work", wecom_codes), ("wechat-official", wechat_codes)]
)
def test_every_code_is_explained(page, codes, language):
    text = words(f"{page}{language}.md").replace("−", "-")

    assert [code for code in {*codes.CODES, *codes.STALE} if str(code) not in text] == []


@pytest.mark.parametrize("language", ["", ".zh-hans"])
@pytest.mark.parametrize(
    ("page", "adapters"),
    [("wechat-work", [WecomApp, WecomRobot]), ("wechat-official", [WechatOfficial])],
)
def test_every_setting_is_named(page, adapters, language):
    text = words(f"{page}{language}.md")
    names = {option.name for adapter in adapters for option in adapter.options} - {"api_url"}

    assert [name for name in names if name not in text] == []
    assert all(adapter.name in text for adapter in adapters)


@pytest.mark.parametrize("language", ["", ".zh-hans"])
def test_every_type_of_field_is_explained(language):
    text = words(f"wechat-official{language}.md")

    assert [name for name in wechat_fields.RULES if f"`{name}`" not in text] == []
