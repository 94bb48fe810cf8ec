"""What the API of Official Accounts answers, and what it means
(developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html)."""

from messaging.channels.base import PermanentFailure, SenderFailure, TemporaryFailure
from messaging.channels.wechat_api import Codes

# The access token is none any more, or not the latest.
STALE = frozenset({40001, 40014, 42001})
# This message was taken before, under the same id of ours.
TAKEN_BEFORE = 45065
MINUTE = 60.0
HOUR = 3600.0

CODES: Codes = {
    # Busy.
    -1: (TemporaryFailure, "temporary", None),
    # --- the account -----------------------------------------------------------------------------
    # Of what gives out tokens: the secret is another account's.
    40001: (SenderFailure, "credentials", None),
    # No such account; a wrong secret; one that is frozen.
    40013: (SenderFailure, "credentials", None),
    40125: (SenderFailure, "credentials", None),
    40243: (SenderFailure, "credentials", None),
    # Our address is not on the account's list.
    40164: (SenderFailure, "misconfigured", None),
    # The account was taken out of service.
    50002: (SenderFailure, "blocked", None),
    # The account has no right to this API; the right was withdrawn.
    48001: (SenderFailure, "misconfigured", None),
    48004: (SenderFailure, "blocked", None),
    # Too many calls today; in this minute.
    45009: (SenderFailure, "quota", HOUR),
    45011: (SenderFailure, "throttled", MINUTE),
    # --- the recipient ---------------------------------------------------------------------------
    # No openid of this account; somebody who does not follow it.
    40003: (PermanentFailure, "hard_bounce", None),
    43004: (PermanentFailure, "hard_bounce", None),
    # On the account's blacklist; did not subscribe to the notice, or refuses it.
    43019: (PermanentFailure, "blocked", None),
    43101: (PermanentFailure, "blocked", None),
    # --- the content -----------------------------------------------------------------------------
    40036: (PermanentFailure, "rejected", None),
    40037: (PermanentFailure, "rejected", None),
    47003: (PermanentFailure, "rejected", None),
    45168: (PermanentFailure, "rejected", None),
}
