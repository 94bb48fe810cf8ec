"""How WeChat signs and encrypts what it posts, the same in WeChat Work and in Official Accounts.

Checked in the tests against `wechatpy`, both ways.
"""

import base64
import hashlib
import hmac
import os

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

# What padding fills up to, in bits: two blocks of AES.
PADDED_TO = 256
# In front of the text: random bytes, then its length.
RANDOM = 16
LENGTH = 4


def signature(token: str, *parts: str) -> str:
    """Of a token and what it vouches for: time, nonce, the encrypted text if there is one."""
    joined = "".join(sorted([token, *parts]))
    return hashlib.sha1(joined.encode("utf-8", "surrogatepass")).hexdigest()  # noqa: S324


def is_signed(given: str, token: str, *parts: str) -> bool:
    right = signature(token, *parts)
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())


def key_from(encoding_aes_key: str) -> bytes:
    """The AES key of an EncodingAESKey, 43 characters of base64. Raises `ValueError`."""
    try:
        key = base64.b64decode(f"{encoding_aes_key}=", validate=True)
    except ValueError as error:
        raise ValueError("An EncodingAESKey has 43 letters and digits.") from error
    if len(encoding_aes_key) != 43 or len(key) != 32:
        raise ValueError("An EncodingAESKey has 43 letters and digits.")
    return key


def encrypt(text: bytes, *, key: bytes, receive_id: str) -> str:
    plain = os.urandom(RANDOM) + len(text).to_bytes(LENGTH, "big") + text + receive_id.encode()
    padder = padding.PKCS7(PADDED_TO).padder()
    encryptor = _cipher(key).encryptor()
    padded = padder.update(plain) + padder.finalize()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def decrypt(encrypted: str, *, key: bytes, receive_id: str) -> bytes:
    """Raises `ValueError` for what was not encrypted with `key` for `receive_id`. It tells nothing
    of where it stopped; callers check the signature first."""
    try:
        decryptor = _cipher(key).decryptor()
        unpadder = padding.PKCS7(PADDED_TO).unpadder()
        padded = decryptor.update(base64.b64decode(encrypted, validate=True))
        plain = unpadder.update(padded + decryptor.finalize()) + unpadder.finalize()
    except ValueError as error:
        raise ValueError("It was encrypted with another key.") from error
    ends_at = RANDOM + LENGTH + int.from_bytes(plain[RANDOM : RANDOM + LENGTH], "big")
    if len(plain) < ends_at or plain[ends_at:] != receive_id.encode():
        raise ValueError("It was encrypted for somebody else.")
    return plain[RANDOM + LENGTH : ends_at]


def _cipher(key: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES256(key), modes.CBC(key[:16]))
