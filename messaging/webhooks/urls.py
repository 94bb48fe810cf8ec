from django.urls import path

from messaging.webhooks.views import provider_report

urlpatterns = [path("<str:token>/reports", provider_report, name="provider-report")]
