"""A place for tests to kill the process: the request has left, its reply is not read.

Only there when `core.crash` is armed for it; otherwise sessions are as requests makes them.
"""

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.crash import crash_at


def crash_before_replies(session: requests.Session) -> None:
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())


class _Plain(HTTPConnection):
    def getresponse(self) -> Any:
        crash_at("after_request")
        return super().getresponse()


class _Encrypted(HTTPSConnection):
    def getresponse(self) -> Any:
        crash_at("after_request")
        return super().getresponse()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(HTTPSConnectionPool):
    ConnectionCls = _Encrypted


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _EncryptedPool}
