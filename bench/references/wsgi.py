"""`DJANGO_SETTINGS_MODULE` says which reference this serves."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
