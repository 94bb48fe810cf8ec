"""Log lines as JSON (or readable on a console), each with the request id it belongs to."""

import logging.config
import re
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import WrappedLogger

from core.masking import mask_addresses

SHARED_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


# PostgreSQL shows the whole row that it refused, which may be a message.
DETAIL = re.compile(r"DETAIL:.*")


def hide_people(
    logger: WrappedLogger, name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The last look at every line, tracebacks of libraries included: no addresses, no rows."""
    for key, value in event.items():
        if isinstance(value, str) and ("@" in value or "DETAIL:" in value):
            event[key] = mask_addresses(DETAIL.sub("DETAIL: (left out)", value))
    return event


def logging_config(*, level: str, form: str) -> None:
    """Send everything, ours and the libraries', through one formatter to standard error."""
    structlog.configure(
        processors=[*SHARED_PROCESSORS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        # Knows the level itself: what is not shown costs nothing.
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "main": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": SHARED_PROCESSORS,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.format_exc_info,
                        hide_people,
                        renderer,
                    ],
                }
            },
            "handlers": {"main": {"class": "logging.StreamHandler", "formatter": "main"}},
            "root": {"handlers": ["main"], "level": level},
            "loggers": {
                # Every request is in the server's access log; a refusal is the caller's news.
                "django.request": {"level": "ERROR"},
                # A wake-up is no news: what happens to messages is logged by delivery.
                "celery.beat": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
                "amqp": {"level": "WARNING"},
                # It shows whole URLs, in which tokens of providers, numbers and texts stand.
                "urllib3": {"level": "ERROR"},
                # Each login is in the audit log already.
                "axes": {"level": "WARNING"},
                # Its debug lines hold what pages are made of.
                "django.template": {"level": "INFO"},
            },
        }
    )
