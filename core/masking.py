"""Hides who was written to from whatever is logged, stored as history or exported."""

import re

_ADDRESS = re.compile(r"[^\s<>\"'(),;:=]+@([A-Za-z0-9\u0080-\uffff][\w.\u0080-\uffff-]*)")


def mask_addresses(text: str) -> str:
    """`550 <ann@example.com> unknown` becomes `550 <a***@example.com> unknown`."""
    return _ADDRESS.sub(lambda found: f"{found.group(0)[0]}***@{found.group(1)}", text)
