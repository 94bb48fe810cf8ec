"""What Aliyun refuses for certain is told before it is accepted, and nothing else is."""

import pytest

from messaging.channels.aliyun_sms import AliyunSms
from tests.messaging.channels.aliyun import NUMBER, sms_content

ABROAD = "+447700900123"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({}, []),
        ({"template_id": ""}, [("/template_code", "missing_template_id")]),
        ({"to": [("", NUMBER), ("", ABROAD)]}, [("/to", "too_many_recipients")]),
        ({"parameters": {"code": "字" * 35}}, []),
        ({"parameters": {"code": "字" * 36}}, [("/variables/code", "too_long")]),
        ({"parameters": {"code": ""}}, [("/variables/code", "empty")]),
        ({"parameters": {"x/y": ""}}, [("/variables/x~1y", "empty")]),
        ({"parameters": {"link": "HTTPS://a.cn"}}, [("/variables/link", "url_not_allowed")]),
        ({"parameters": {"link": "example.com"}}, []),
        ({"parameters": {f"p{n}": "a" * 35 for n in range(14)}}, []),
        ({"parameters": {f"p{n}": "a" * 35 for n in range(15)}}, [("/variables", "too_long")]),
        # What is written abroad has other limits, which nobody documents.
        ({"to": [("", ABROAD)], "parameters": {"code": "a" * 36, "name": ""}}, []),
        (
            {"to": [("", ABROAD)], "parameters": {"link": "http://a.uk"}},
            [("/variables/link", "url_not_allowed")],
        ),
    ],
)
def test_misfits(content, found):
    misfits = AliyunSms.misfits(sms_content(**content))

    assert [(misfit.pointer, misfit.code) for misfit in misfits] == found
    assert all("Aliyun" in misfit.detail for misfit in misfits)


def test_the_detail_names_the_parameter_and_not_its_value():
    (misfit,) = AliyunSms.misfits(sms_content(parameters={"code": "secret" * 10}))

    assert "code" in misfit.detail
    assert "secret" not in misfit.detail
