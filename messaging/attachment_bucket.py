"""Attachments in a bucket of S3 or of what speaks its protocol. Imported only where the settings
say so: it needs `requirements/s3.txt`."""

from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from storages.backends.s3 import S3Storage

# A worker holds a message while it waits, and a caller an upload: boto's own minutes are too long.
CONNECT_SECONDS, READ_SECONDS, TRIES = 5, 20, 2
# Bytes; more than any attachment has.
WHOLE = 104_857_600


class AttachmentBucket(S3Storage):
    def __init__(self, **options: Any) -> None:
        super().__init__(
            client_config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"total_max_attempts": TRIES, "mode": "standard"},
                # Other servers than Amazon's know no names of buckets in host names.
                s3={"addressing_style": "path" if options.get("endpoint_url") else "auto"},
                # And not the checksums that boto sends since 1.36 unless it is told not to.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
            # In one piece each, by the thread that asks: they are small.
            transfer_config=TransferConfig(multipart_threshold=WHOLE, use_threads=False),
            # Names are random: nobody has to look first whether there is one.
            file_overwrite=True,
            default_acl=None,
            **options,
        )

    def url(self, *args: Any, **kwargs: Any) -> str:
        raise ValueError("attachments have no address")
