"""The welcome template of the starters: sent by its code, and the mail that comes of it."""

import time
from statistics import median
from typing import Any

from django.utils import timezone

from bench.report import Bound
from bench.web import make_application
from templates_app import sending
from templates_app.files import STARTERS, import_folder
from templates_app.publishing import Author
from templates_app.sending import Prepared, Wanted

CODE = "welcome"
VARIABLES = {"name": "Zoë 张", "product": "Example", "action_url": "https://example.com/start"}
RENDERINGS = 3_000


def publish() -> None:
    import_folder(
        STARTERS,
        application=None,
        by=Author("bench"),
        now=timezone.now(),
        is_published=True,
        only_new=True,
    )


def by_template() -> dict[str, Any]:
    return {"template_code": CODE, "variables": VARIABLES}


def as_it_is() -> dict[str, Any]:
    """The same mail, with its text in the request."""
    rendered = _prepare().rendered
    return {"subject": rendered.subject, "content": rendered.html, "text": rendered.text}


def rendering() -> Bound:
    """Checking the variables and rendering subject, HTML and text, with the parsed version kept."""
    ready = sending.ready_version(_prepare().chosen.version_id)
    took = []
    for _ in range(RENDERINGS):
        started = time.perf_counter()
        sending.render_checked(ready, VARIABLES, is_strict=False, locale="")
        took.append(time.perf_counter() - started)
    size = len(_prepare().rendered.html) / 1000
    note = f"{size:.1f} kB of HTML, median of {RENDERINGS:,}"
    return Bound("render: welcome template, kept parsed", median(took) * 1e6, "µs", 500, note)


def _prepare() -> Prepared:
    wanted = Wanted(code=CODE, variables=VARIABLES)
    return sending.prepare(wanted, application_id=make_application().pk, channel="email")
