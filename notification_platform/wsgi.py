import os
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notification_platform.settings")

django_application = get_wsgi_application()

from django.conf import settings  # noqa: E402  (needs the settings)

from notification_platform.checks import refuse  # noqa: E402  (needs the apps)

refuse()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, and bodies that come in chunks: it takes a request without a length for an empty one.

    One byte more than is allowed is read, so that the parser sees that it is too much.
    """
    is_chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
    if is_chunked and environ.get("wsgi.input_terminated"):
        body = environ["wsgi.input"].read(settings.MAX_BATCH_BODY_BYTES + 1)
        environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return django_application(environ, start_response)
