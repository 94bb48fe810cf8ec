"""A JSON field whose value is encrypted in the database."""

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import models


class UnreadableSecret(Exception):
    """The stored value was encrypted with a key that is not in CREDENTIALS_KEYS."""


@lru_cache(maxsize=1)
def _fernet() -> MultiFernet:
    if not settings.CREDENTIALS_KEYS:
        raise ImproperlyConfigured("CREDENTIALS_KEYS is empty: no credentials can be stored.")
    return MultiFernet([Fernet(key) for key in settings.CREDENTIALS_KEYS])


def _forget_keys(*, setting: str, **_: object) -> None:
    if setting == "CREDENTIALS_KEYS":
        _fernet.cache_clear()


setting_changed.connect(_forget_keys)


def encrypt(value: Any) -> str:
    return _fernet().encrypt(json.dumps(value).encode()).decode()


def decrypt(token: str) -> Any:
    """Raises `UnreadableSecret`."""
    try:
        return json.loads(_fernet().decrypt(token.encode()))
    except InvalidToken as error:
        raise UnreadableSecret(
            "It was stored with a key that is not in CREDENTIALS_KEYS any more. "
            "Add the old key at the end of the list, or enter the credentials again."
        ) from error


class Sealed:
    """An encrypted value that opens only on request and prints as nothing."""

    def __init__(self, token: str) -> None:
        self.token = token

    def open(self) -> Any:
        """Raises `UnreadableSecret`."""
        return decrypt(self.token) if self.token else {}

    def __bool__(self) -> bool:
        return bool(self.token)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sealed) and other.token == self.token

    def __hash__(self) -> int:
        return hash(self.token)

    def __repr__(self) -> str:
        return "<sealed>" if self.token else "<empty>"

    __str__ = __repr__


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg]
    """Assign a JSON value; read a `Sealed`. Rows hold Fernet tokens only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs |= {"editable": False, "default": "", "blank": True}
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Any, dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        for implied in ("editable", "default", "blank"):
            kwargs.pop(implied, None)
        return name, path, list(args), kwargs

    def from_db_value(self, value: str | None, *_: object) -> Sealed:
        return Sealed(value or "")

    def to_python(self, value: Any) -> Any:
        return value

    def get_prep_value(self, value: Any) -> str:
        if isinstance(value, Sealed):
            return value.token
        return encrypt(value) if value else ""

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj))
