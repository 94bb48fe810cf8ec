"""Where attachments lie: the entry of `STORAGES`, from the environment."""

from typing import Any

from notification_platform import env

# Names of `messaging.attachment_types.KINDS`; settings come before any of that is imported.
TYPES = (
    *("pdf", "png", "jpeg", "gif", "webp", "docx", "xlsx", "pptx"),
    *("odt", "ods", "odp", "txt", "csv", "ics"),
)


def entry(kind: str, *, folder: str) -> dict[str, Any]:
    """A folder, or a bucket; without keys a bucket is opened by what the machine has (a role, a
    profile)."""
    if kind == "folder":
        return {
            "BACKEND": "messaging.attachment_files.AttachmentFolder",
            "OPTIONS": {"location": folder},
        }
    named = {
        "bucket_name": env.text("ATTACHMENTS_S3_BUCKET"),
        "endpoint_url": env.text("ATTACHMENTS_S3_ENDPOINT"),
        "region_name": env.text("ATTACHMENTS_S3_REGION"),
        "access_key": env.text("ATTACHMENTS_S3_ACCESS_KEY"),
        "secret_key": env.text("ATTACHMENTS_S3_SECRET_KEY"),
        "location": env.text("ATTACHMENTS_S3_PREFIX"),
    }
    return {
        "BACKEND": "messaging.attachment_bucket.AttachmentBucket",
        "OPTIONS": {name: value for name, value in named.items() if value},
    }
