"""The API as it is served: gunicorn on PostgreSQL, with a database of its own. There is no worker
and no broker: what is accepted stays where it is."""

import os
import re
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.installation import Installation, until

LOCAL_POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"


def has_postgres() -> bool:
    """Set by `make test`, for its run on PostgreSQL; what is run by hand says DATABASE_URL."""
    if os.environ.get("SKIP_FLOWS") == "1":
        return False
    return bool(os.environ.get("TEST_POSTGRES_URL") or os.environ.get("DATABASE_URL"))


class ApiServer(Installation):
    """Use as a context manager. `tokens` are of two applications that must not see each other."""

    def __init__(self, *, folder: Path, postgres_url: str = "") -> None:
        super().__init__(
            folder=folder,
            postgres_url=postgres_url or os.environ.get("TEST_POSTGRES_URL") or LOCAL_POSTGRES,
            broker_url="memory://localhost/",
            redis_url="",
        )
        self.tokens: list[str] = []

    def __enter__(self) -> Self:
        try:
            self.create()
            self.start_web()
            until(lambda: self.status_of("/health/live") == 200, seconds=60, what="up")
            self.tokens = [self.token(), self.token_of("neighbour")]
            # The places that the examples of the pages name.
            for name, adapter, secret, value in (
                ("ops-robot", "wecom_robot", "key", "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa"),
                ("ops-chat", "apprise", "url", "ntfy://ops"),
            ):
                self.manage(
                    *("add_sender", name, "--adapter", adapter, "--secret", secret), given=value
                )
            # What the examples of the pages name; the owner has them as his own, too.
            self.manage("import_templates", "--publish")
            self.manage("import_templates", "--publish", "--application", "flows")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        self.stop_all()
        self.drop()

    def token_of(self, application: str) -> str:
        issued = self.manage("create_api_key", application)
        found = dict(re.findall(r"API (key|secret): +(\S+)", issued))
        asked = {"api_key": found["key"], "api_secret": found["secret"]}
        return str(self.call("/api/v1/auth/token", asked)["access_token"])
