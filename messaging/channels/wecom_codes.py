"""What WeChat Work answers, and what it means (developer.work.weixin.qq.com/document/path/90313).

One table for applications and robots: a code means the same in both.
"""

from messaging.channels.base import PermanentFailure, SenderFailure, TemporaryFailure
from messaging.channels.wechat_api import Codes

# The access token is none any more.
STALE = frozenset({40014, 42001})
# All recipients are unknown to the application, or outside of its visible range.
NOBODY = 81013
BUSY_SECONDS = 5.0
MINUTE = 60.0

CODES: Codes = {
    # Busy.
    -1: (TemporaryFailure, "temporary", None),
    # --- the account -----------------------------------------------------------------------------
    # The secret is wrong.
    40001: (SenderFailure, "credentials", None),
    # No such corporation.
    40013: (SenderFailure, "credentials", None),
    # No such application.
    40056: (SenderFailure, "misconfigured", None),
    # The application may not use this API.
    48002: (SenderFailure, "misconfigured", None),
    # Our address is not among the application's trusted IPs.
    60020: (SenderFailure, "misconfigured", None),
    # The secret is another application's than the agent id.
    301002: (SenderFailure, "misconfigured", None),
    # A robot's key that nobody knows, or whose group is gone.
    93000: (SenderFailure, "credentials", None),
    # Too many calls: of a robot 20 a minute.
    45009: (SenderFailure, "throttled", MINUTE),
    # Too many calls at the same time.
    45033: (SenderFailure, "throttled", BUSY_SECONDS),
    # --- the recipient ---------------------------------------------------------------------------
    40003: (PermanentFailure, "hard_bounce", None),
    40031: (PermanentFailure, "hard_bounce", None),
    60111: (PermanentFailure, "hard_bounce", None),
    NOBODY: (PermanentFailure, "hard_bounce", None),
    # --- the content -----------------------------------------------------------------------------
    40008: (PermanentFailure, "rejected", None),
    40058: (PermanentFailure, "rejected", None),
    44004: (PermanentFailure, "rejected", None),
    45002: (PermanentFailure, "rejected", None),
}
