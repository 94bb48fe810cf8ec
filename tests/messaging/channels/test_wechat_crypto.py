"""WeChat's signatures and encryption, judged by `wechatpy`."""

import base64
import re

import pytest
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException, InvalidSignatureException
from wechatpy.utils import check_signature

from messaging.channels import wechat_crypto

TOKEN = "callbackToken2026"
ENCODING_AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
APP_ID = "wx0123456789abcdef"
KEY = wechat_crypto.key_from(ENCODING_AES_KEY)


@pytest.fixture
def theirs():
    return WeChatCrypto(TOKEN, ENCODING_AES_KEY, APP_ID)


TEXTS = ["", "<xml/>", "<xml>你好</xml>", "a" * 31, "a" * 32, "a" * 33, "长" * 5000]


@pytest.mark.parametrize("text", TEXTS)
def test_what_we_encrypt_and_sign_they_read(theirs, text):
    encrypted = wechat_crypto.encrypt(text.encode(), key=KEY, receive_id=APP_ID)
    signed = wechat_crypto.signature(TOKEN, "1700000000", "nonce", encrypted)

    found = theirs.decrypt_message({"Encrypt": encrypted}, signed, "1700000000", "nonce")

    assert found == text


@pytest.mark.parametrize("text", TEXTS)
def test_what_they_encrypt_and_sign_we_read(theirs, text):
    posted = theirs.encrypt_message(text, "nonce", "1700000000")
    encrypted = re.search(r"<Encrypt><!\[CDATA\[(.*)\]\]>", posted).group(1)
    signed = re.search(r"<MsgSignature><!\[CDATA\[(.*)\]\]>", posted).group(1)

    assert wechat_crypto.is_signed(signed, TOKEN, "1700000000", "nonce", encrypted)
    assert wechat_crypto.decrypt(encrypted, key=KEY, receive_id=APP_ID) == text.encode()


@pytest.mark.parametrize("nonce", ["nonce", "123", "", "~"])
def test_they_take_our_signature_of_an_address(nonce):
    check_signature(TOKEN, wechat_crypto.signature(TOKEN, "1700000000", nonce), "1700000000", nonce)

    with pytest.raises(InvalidSignatureException):
        check_signature(TOKEN, wechat_crypto.signature("other", "1", nonce), "1", nonce)


def test_for_another_account_neither_they_nor_we_decrypt(theirs):
    encrypted = wechat_crypto.encrypt(b"<xml/>", key=KEY, receive_id="wx-another")
    signed = wechat_crypto.signature(TOKEN, "1", "n", encrypted)

    with pytest.raises(InvalidAppIdException):
        theirs.decrypt_message({"Encrypt": encrypted}, signed, "1", "n")
    with pytest.raises(ValueError, match="somebody else"):
        wechat_crypto.decrypt(encrypted, key=KEY, receive_id=APP_ID)


@pytest.mark.parametrize(
    "encrypted",
    [
        "",
        "x",
        "not base64 at all",
        base64.b64encode(b"x" * 32).decode(),
        base64.b64encode(b"x" * 33).decode(),
        "你好",
    ],
)
def test_what_was_never_encrypted_is_refused(encrypted):
    with pytest.raises(ValueError, match="encrypted"):
        wechat_crypto.decrypt(encrypted, key=KEY, receive_id=APP_ID)


@pytest.mark.parametrize("key", ["", "a" * 42, "a" * 44, "*" * 43, "你" * 43, "a" * 42 + "="])
def test_a_key_has_43_letters_and_digits(key):
    with pytest.raises(ValueError, match="43 letters and digits"):
        wechat_crypto.key_from(key)


def test_a_length_beyond_the_end_is_refused():
    plain = b"r" * 16 + (2**32 - 1).to_bytes(4, "big") + b"<xml/>" + APP_ID.encode()
    encryptor = wechat_crypto._cipher(KEY).encryptor()
    padding = 32 - len(plain) % 32
    encrypted = encryptor.update(plain + bytes([padding]) * padding) + encryptor.finalize()

    with pytest.raises(ValueError, match="somebody else"):
        wechat_crypto.decrypt(base64.b64encode(encrypted).decode(), key=KEY, receive_id=APP_ID)
