"""The reference of delivery: smtplib over one open connection, with the bytes built beforehand.

`python -m bench.references.smtplib_loop PORT COUNT FILE` prints the seconds that it took.
"""

import smtplib
import sys
import time
from pathlib import Path


def send(*, port: int, count: int, data: bytes) -> float:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="bench") as server:
        server.ehlo()
        started = time.perf_counter()
        for _ in range(count):
            server.sendmail("bench@example.com", ["customer@example.com"], data)
        return time.perf_counter() - started


if __name__ == "__main__":
    port, count, file = sys.argv[1:]
    print(send(port=int(port), count=int(count), data=Path(file).read_bytes()))
