"""An Official Account in tests: the sender for it, and what it posts."""

from django.test import Client

from tests.factories import make_sender
from tests.messaging.reporting import path_of

AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
ANN = "oAnn-Follows_WeChat000000001"
BOB = "oBob-Follows_WeChat000000002"
# Knows the account and follows it no more.
EVE = "oEve-Followed_WeChat00000003"


def sender_at(provider, **credentials):
    secrets = {"app_secret": provider.secret, "callback_token": provider.callback_token}
    if provider.encoding_aes_key:
        secrets["encoding_aes_key"] = provider.encoding_aes_key
    return make_sender(
        channel="wechat_official",
        adapter="wechat_official",
        from_address="",
        options={"app_id": provider.app_id, "api_url": provider.url},
        credentials=secrets | credentials,
    )


def address(sender, query=""):
    return f"{path_of(sender)}?{query}"


def post(sender, query, body):
    return Client().post(address(sender, query), body, content_type="text/xml")


def event_of(provider, status="success", message_id=4711):
    provider.tell(
        "TEMPLATESENDJOBFINISH", ANN, f"<MsgID>{message_id}</MsgID><Status>{status}</Status>"
    )
    return provider.xml_of(provider.events.pop())
