"""`python -m bench.peers.post_office_run COUNT WARM_UP FOLDER`, by the Python that has
django-post_office: queue so many messages, send them all, print what happened as JSON."""

import json
import sys
import time
from pathlib import Path

import django

PROCESSES = 2


def main(*, count: int, warm_up: int, folder: Path) -> dict[str, float]:
    django.setup()
    from django.db import connection
    from post_office.mail import send_queued_mail_until_done
    from post_office.models import STATUS, Email, Log

    lock = str(folder / "post_office")
    for number in (warm_up, count):
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE post_office_email CASCADE")
            _queue(number)
            cursor.execute("ANALYZE post_office_email")
        connection.close()
        started = time.perf_counter()
        send_queued_mail_until_done(lockfile=lock, processes=PROCESSES)
        took = time.perf_counter() - started
    return {
        "seconds": took,
        "sent": Email.objects.filter(status=STATUS.sent).count(),
        "logged": Log.objects.filter(status=STATUS.sent).count(),
    }


def _queue(count: int) -> None:
    from post_office.mail import send_many

    from bench.letter import HTML, SUBJECT, TEXT

    for start in range(0, count, 1000):
        send_many(
            [
                {
                    "sender": "Bench <bench@example.com>",
                    "recipients": [f"customer-{number}@example.com"],
                    "subject": SUBJECT,
                    "message": TEXT,
                    "html_message": HTML,
                }
                for number in range(start, min(start + 1000, count))
            ]
        )


if __name__ == "__main__":
    count, warm_up, folder = sys.argv[1:]
    print(json.dumps(main(count=int(count), warm_up=int(warm_up), folder=Path(folder))))
