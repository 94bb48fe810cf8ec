from django.urls import re_path

from messaging.webhooks.views import provider_report

# What cannot be a token is no address of ours.
urlpatterns = [
    re_path(r"^(?P<token>[A-Za-z0-9_-]{20,64})/reports$", provider_report, name="provider-report")
]
