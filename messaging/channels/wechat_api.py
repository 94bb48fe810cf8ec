"""What the APIs of WeChat have in common: an `errcode` in every answer, tokens that end early."""

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from django.utils.translation import gettext as _

from messaging.channels import tokens
from messaging.channels.base import (
    Account,
    ChannelAdapter,
    DeliveryError,
    PermanentFailure,
    SenderFailure,
)
from messaging.channels.http_api import HttpApi, Reply, judge_status
from messaging.channels.reports import key_of
from messaging.channels.tokens import Fetched

# The failure, its kind, and after how many seconds it is over where that is known.
Verdict = tuple[type[DeliveryError], str, float | None]
# By `errcode`; the words are the provider's own, and change.
Codes = Mapping[int, Verdict]
# What an address or a header can hold.
SECRET = re.compile(r"[!-~]+")


class WechatAdapter(ChannelAdapter):
    """Speaks to one host of WeChat. Secrets and tokens travel in its addresses, and are taken out
    of whatever comes back before anybody reads it."""

    codes: ClassVar[Codes]

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self._api = HttpApi(self.option("api_url"))

    @classmethod
    def problems(cls, options: dict[str, Any], credentials: dict[str, Any]) -> dict[str, str]:
        found = super().problems(options, credentials)
        for option in cls.options:
            secret = credentials.get(option.name)
            if isinstance(secret, str) and secret and not SECRET.fullmatch(secret):
                found.setdefault(option.name, _("It holds spaces or characters beyond ASCII."))
        url = options.get("api_url")
        if isinstance(url, str) and url and not url.startswith(("https://", "http://")):
            found.setdefault("api_url", _("It must begin with https:// or http://."))
        return found

    def close(self) -> None:
        self._api.close()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: Any = None,
        is_sending: bool = False,
    ) -> dict[str, Any]:
        """The answer, whatever its `errcode`. Raises `DeliveryError` where there is none."""
        reply = self._api.call(method, path, params=params, content=content, is_sending=is_sending)
        reply = without_secrets(
            reply, [*(params or {}).values(), *map(str, self.account.credentials.values())]
        )
        answer = reply.object() if reply.status == 200 else None
        if answer and not is_sending:
            # What gives something out says nothing else when all is well.
            answer.setdefault("errcode", 0)
        if answer is not None and _code(answer) is not None:
            return answer
        error = judge_status(reply)
        if is_sending or isinstance(error, SenderFailure):
            raise error
        raise SenderFailure("transient", phase="response", code=error.code, words=error.words)

    def _judge(self, answer: dict[str, Any], *, phase: str = "response") -> DeliveryError:
        """Of an answer that says no. A code that nobody knows is taken for a fault of the message:
        the others go on."""
        code = _code(answer) or 0
        kind_of, kind, retry_after = self.codes.get(code, (PermanentFailure, "rejected", None))
        return kind_of(
            kind, phase=phase, code=str(code), words=words_of(answer), retry_after=retry_after
        )


class TokenAdapter(WechatAdapter):
    """Its calls carry an access token, shared by all workers."""

    # Codes that say that the token is none any more. Nothing was taken.
    stale_codes: ClassVar[frozenset[int]]

    @abstractmethod
    def _ask_for_token(self) -> dict[str, Any]:
        """The provider's answer, with `access_token` and `expires_in`."""

    @abstractmethod
    def _identity(self) -> tuple[str, ...]:
        """The credentials that a token is given for."""

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: Any = None,
        is_sending: bool = False,
    ) -> dict[str, Any]:
        """Ask with a token, and once more with a new one if it was stale."""
        given = dict(params or {})
        token = self._token()
        for is_last in (False, True):
            answer = self._ask(
                method,
                path,
                params={"access_token": token, **given},
                content=content,
                is_sending=is_sending,
            )
            if is_last or _code(answer) not in self.stale_codes:
                break
            token = self._token(stale=token)
        if _code(answer) in self.stale_codes:
            raise SenderFailure(
                "credentials",
                phase="response",
                code=str(_code(answer)),
                words=words_of(answer),
            )
        return answer

    def _token(self, *, stale: str = "") -> str:
        key = key_of(self.name, self.option("api_url"), *self._identity())
        return tokens.get(key, self._fetch, stale=stale)

    def _fetch(self) -> Fetched:
        answer = self._ask_for_token()
        if _code(answer):
            error = self._judge(answer, phase="token")
            if isinstance(error, SenderFailure):
                raise error
            # Whatever it is, it is not about a message.
            kind = "credentials" if isinstance(error, PermanentFailure) else "transient"
            raise SenderFailure(kind, phase="token", code=error.code, words=error.words)
        token, seconds = answer.get("access_token"), answer.get("expires_in")
        is_token = isinstance(token, str) and SECRET.fullmatch(token)
        if not is_token or not isinstance(seconds, int | float) or seconds <= 0:
            raise SenderFailure("transient", phase="token", words="The answer has no token.")
        return Fetched(str(token), float(seconds))


def _code(answer: dict[str, Any]) -> int | None:
    code = answer.get("errcode")
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def is_ok(answer: dict[str, Any]) -> bool:
    return _code(answer) == 0


def words_of(answer: dict[str, Any]) -> str:
    """The provider's, with the id of the request by which its support finds it."""
    return " ".join(str(answer.get("errmsg", "")).split())[:400]


def without_secrets(reply: Reply, secrets: list[str]) -> Reply:
    """Pages of gateways repeat the address that was asked for."""
    body = reply.body
    for secret in secrets:
        for written in {secret, quote(secret, safe="")}:
            if len(written) > 7:
                body = body.replace(written.encode(), b"***")
    return Reply(reply.status, reply.headers, body)
