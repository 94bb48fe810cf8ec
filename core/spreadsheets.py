"""CSV that people open in spreadsheets."""

import csv
import io
from collections.abc import Iterable

from rest_framework.renderers import JSONRenderer

# What spreadsheets take for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvRenderer(JSONRenderer):
    """Lets callers ask for `text/csv`. The table is written past it; what it renders are problems,
    which are JSON under a type of their own."""

    media_type = "text/csv"
    format = "csv"


def csv_line(cells: Iterable[str]) -> str:
    """What would be taken for a formula begins with an apostrophe."""
    line = io.StringIO()
    csv.writer(line).writerow([f"'{c}" if c.startswith(FORMULA) else c for c in cells])
    return line.getvalue()
