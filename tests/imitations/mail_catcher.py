"""A real SMTP server that keeps what it gets, and takes a login that a test may change."""

import asyncio

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.imitations.ports import free_port


class MailCatcher:
    def __init__(self, *, username: str, password: str) -> None:
        self.username, self.password = username, password
        self.envelopes: list[Envelope] = []
        # Seconds between taking a mail and saying so.
        self.delay = 0.0
        self.controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            authenticator=self._authenticate,
            auth_require_tls=False,
        )

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.envelopes.append(envelope)
        await asyncio.sleep(self.delay)
        return "250 2.0.0 caught"

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: object
    ) -> AuthResult:
        is_right = login == LoginPassword(self.username.encode(), self.password.encode())
        return AuthResult(success=is_right, handled=False)

    def start(self) -> None:
        self.controller.start()

    def stop(self) -> None:
        if self.controller.server is not None:
            self.controller.stop(no_assert=True)

    def contents(self) -> list[bytes]:
        return [mail.content for mail in self.envelopes if isinstance(mail.content, bytes)]

    @property
    def port(self) -> int:
        return int(self.controller.port)
