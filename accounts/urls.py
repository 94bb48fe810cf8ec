from django.urls import path

from accounts.viewsets import TokenViewSet

urlpatterns = [path("auth/token", TokenViewSet.as_view({"post": "create"}), name="token")]
