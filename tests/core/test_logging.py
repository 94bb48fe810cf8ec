import json
import logging
import logging.config

import pytest

from core.logging import logging_config


@pytest.fixture(params=["json", "console"])
def formatted(request, monkeypatch):
    """Formats one line as the platform would, with whatever a library put into it."""
    given = {}
    monkeypatch.setattr(logging.config, "dictConfig", given.update)
    logging_config(level="INFO", form=request.param)
    options = dict(given["formatters"]["main"])
    formatter = options.pop("()")(**options)

    def make(message, error=None):
        exc_info = (type(error), error, error.__traceback__) if error else None
        record = logging.LogRecord("library", logging.ERROR, "", 0, message, (), exc_info)
        return formatter.format(record)

    return make


def test_an_address_in_somebody_elses_line_is_masked(formatted):
    line = formatted("could not reach ann@example.com")

    assert "ann@example.com" not in line
    assert "a***@example.com" in line


def test_a_traceback_shows_neither_addresses_nor_the_row_that_was_refused(formatted):
    error = ValueError(
        "violates check constraint\nDETAIL:  Failing row contains (7, secret text, bob@example.com)"
    )

    line = formatted("it broke", error)

    assert "violates check constraint" in line
    assert "bob@example.com" not in line
    assert "secret text" not in line


def test_json_lines_stay_json(formatted):
    line = formatted('a "quoted" line for ann@example.com')

    if line.startswith("{"):
        assert json.loads(line)["event"] == 'a "quoted" line for a***@example.com'


def test_addresses_that_are_called_are_logged_at_no_level(monkeypatch):
    given = {}
    monkeypatch.setattr(logging.config, "dictConfig", given.update)

    logging_config(level="DEBUG", form="json")

    # Its debug lines would hold tokens of providers.
    assert given["loggers"]["urllib3"]["level"] == "ERROR"
