"""The platform's settings for a server that does nothing but authenticate, look and insert."""

from notification_platform.settings import *  # noqa: F403

ROOT_URLCONF = "bench.references.bare"
MIDDLEWARE = []
