"""What tests of Aliyun's SMS share: an account that the imitation knows, and what is sent by it."""

from typing import Any

from messaging.channels.aliyun_sms import AliyunSms
from messaging.channels.base import Account
from messaging.channels.content import TemplatedContent
from notification_platform.embedded.providers import aliyun
from notification_platform.embedded.providers.aliyun import AliyunSmsServer
from tests.factories import make_message, make_sender
from tests.messaging.channels.http_contract import account_of

NUMBER, CALLED = "+8613912345678", "13912345678"


def options_of(provider: AliyunSmsServer, **further: Any) -> dict[str, Any]:
    known = {"access_key_id": aliyun.KEY_ID, "sign_name": aliyun.SIGN_NAME}
    return {**known, "api_url": provider.url, **further}


def sms_account(
    provider: AliyunSmsServer, *, secret: str = aliyun.SECRET, **options: Any
) -> Account:
    credentials = {"access_key_secret": secret}
    return account_of(AliyunSms, options=options_of(provider, **options), credentials=credentials)


def sms_content(**overrides: Any) -> TemplatedContent:
    fields: dict[str, Any] = {
        "to": [("", NUMBER)],
        "template_id": aliyun.TEMPLATE,
        "parameters": {"code": "123456"},
    }
    return TemplatedContent(**fields | overrides)


def sms_sender(provider: AliyunSmsServer, *, secret: str = aliyun.SECRET, **fields: Any) -> Any:
    """A sender of the pool."""
    options = options_of(provider, **fields.pop("options", {}))
    known: dict[str, Any] = {"adapter": "aliyun_sms", "channel": "sms", "from_address": ""}
    credentials = {"access_key_secret": secret}
    return make_sender(**known | fields, options=options, credentials=credentials)


def sms_message(**fields: Any) -> Any:
    to = fields.pop("to", NUMBER)
    known: dict[str, Any] = {
        "channel": "sms",
        "recipient": to,
        "content": sms_content(to=[("", to)]).as_json(),
    }
    return make_message(**known | fields)
