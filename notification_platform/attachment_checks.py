"""Settings of attachments that make no sense."""

from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from messaging.attachment_types import KINDS
from notification_platform.checks import TAG


@register(TAG)
def check_attachments(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    unknown = [name for name in settings.ATTACHMENT_TYPES if name not in KINDS]
    if unknown:
        found.append(
            Error(
                f"ATTACHMENT_TYPES names {', '.join(unknown)}, which there is not.",
                hint=f"There is: {', '.join(KINDS)}.",
                id="configuration.E010",
            )
        )
    if settings.MESSAGE_ATTACHMENTS_MAX_BYTES < settings.ATTACHMENT_MAX_BYTES:
        found.append(
            Error(
                "MESSAGE_ATTACHMENTS_MAX_MB is less than ATTACHMENT_MAX_MB.",
                hint="Files that may be uploaded could not be sent. Raise it.",
                id="configuration.E011",
            )
        )
    if settings.ATTACHMENTS_STORAGE == "s3":
        found += _bucket()
    return found


def _bucket() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if find_spec("storages") is None or find_spec("boto3") is None:
        found.append(
            Error(
                "ATTACHMENTS_STORAGE is s3, and its packages are not installed.",
                hint="pip install --require-hashes -r requirements/s3.txt, or build the image with "
                "--build-arg S3=true",
                id="configuration.E012",
            )
        )
    if "bucket_name" not in settings.STORAGES["attachments"].get("OPTIONS", {}):
        found.append(
            Error(
                "ATTACHMENTS_STORAGE is s3, and ATTACHMENTS_S3_BUCKET is not set.",
                hint="Name the bucket; it must be this installation's alone.",
                id="configuration.E013",
            )
        )
    return found
