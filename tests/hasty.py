"""Workers that wait a fifteenth of the time for providers to say what became of it:
`celery -A tests.hasty worker`.

These times are no settings: with shorter ones an SMS would be sent twice that its provider shows
late. The imitations show it at once.
"""

import django

from notification_platform.celery import app as app

django.setup()

from messaging import states  # noqa: E402
from messaging.channels import aliyun_sms  # noqa: E402
from messaging.states import asking, drain  # noqa: E402

# By the modules that read them.
WAITS = (
    (drain, "UNKNOWN_REST"),
    (asking, "ASK_FOR"),
    (asking, "ASKING_LASTS"),
    (states, "ASK_AGAIN"),
    (aliyun_sms, "VISIBLE_AFTER"),
)
for module, name in WAITS:
    setattr(module, name, getattr(module, name) / 15)
