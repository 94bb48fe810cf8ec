from typing import Any

from rest_framework import serializers

from core.serializers import StrictCharField, StrictSerializer


class TokenRequest(StrictSerializer):
    api_key = StrictCharField(max_length=100, help_text="The key's id, `noti_…`.")
    api_secret = StrictCharField(max_length=200, trim_whitespace=False)


class TokenResponse(serializers.Serializer[Any]):
    access_token = serializers.CharField()
    token_type = serializers.CharField(help_text="Always `Bearer`.")
    expires_in = serializers.IntegerField(help_text="Seconds.")
