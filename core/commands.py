"""How the commands of `manage.py` talk: refusals are one line, times are written like `2h`."""

import argparse
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from core.durations import parse_duration
from core.errors import DomainError


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
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
