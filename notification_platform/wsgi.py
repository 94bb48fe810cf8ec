import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notification_platform.settings")

application = get_wsgi_application()

from notification_platform.checks import refuse  # noqa: E402  (needs the apps)

refuse()
