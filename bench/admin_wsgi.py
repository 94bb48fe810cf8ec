"""The platform, which says of each answer how long it took and how often it asked the database."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection

from notification_platform.wsgi import application as platform

SECONDS, STATEMENTS, OF_DATABASE = "X-Bench-Seconds", "X-Bench-Statements", "X-Bench-Database"


class Watch:
    """Of one worker, which serves one request at a time."""

    def __init__(self) -> None:
        self.statements = 0
        self.seconds = 0.0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.seconds += time.perf_counter() - started
            self.statements += 1


_watch = Watch()
connection.execute_wrappers.append(_watch)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    _watch.statements, _watch.seconds = 0, 0.0
    started = time.perf_counter()

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        headers += [
            (SECONDS, f"{time.perf_counter() - started:.6f}"),
            (STATEMENTS, str(_watch.statements)),
            (OF_DATABASE, f"{_watch.seconds:.6f}"),
        ]
        return start_response(status, headers, *rest)

    return platform(environ, start)
