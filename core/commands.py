"""How the commands of `manage.py` talk: refusals are one line, times are written like `2h`."""

import argparse
import re
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from core.errors import DomainError

DURATION = re.compile(r"(\d{1,6})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class PlainCommand(BaseCommand):
    """A command whose refusals are sentences, not tracebacks."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DomainError as error:
            raise CommandError(error.detail) from error
        except ValidationError as error:
            lines = (
                [f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items()]
                if hasattr(error, "error_dict")
                else error.messages
            )
            raise CommandError("\n".join(lines)) from error


def duration(text: str) -> timedelta:
    """`90s`, `15m`, `2h`, `7d`. For argparse's `type`."""
    found = DURATION.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration. Write 90s, 15m, 2h or 7d.")
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]])
