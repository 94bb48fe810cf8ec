"""Write `.env` from `.env.example`, with a fresh random secret wherever that one is empty.

Needs nothing but Python, so that it runs before anything is installed.
"""

import base64
import os
import secrets
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
FERNET_KEYS = {"CREDENTIALS_KEYS"}


def filled(line: str) -> str:
    """`NAME=` becomes `NAME=secret`; every other line stays. Secrets are safe inside URLs."""
    name, separator, value = line.partition("=")
    if line.startswith("#") or not separator or value:
        return line
    if name in FERNET_KEYS:
        return f"{name}={base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}"
    return f"{name}={secrets.token_urlsafe(48)}"


def main(source: Path = TOP / ".env.example", target: Path = TOP / ".env") -> None:
    text = "\n".join(filled(line) for line in source.read_text(encoding="utf-8").splitlines())
    try:
        # Readable by its owner only from the first moment, and never over an existing file.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.exit(f"{target} exists. Its secrets may be in use: remove it yourself if they are not.")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    sys.stdout.write(f"Wrote {target}. Keep a copy of CREDENTIALS_KEYS in a safe place.\n")


if __name__ == "__main__":
    main()
