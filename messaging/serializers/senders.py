"""What callers see of a sender: nothing of its account but the address."""

from typing import Any

from rest_framework import serializers

from core.vocabulary import Channel
from messaging.models import SenderWindow
from messaging.senders import SenderKind


class QuotaSerializer(serializers.Serializer[Any]):
    window = serializers.ChoiceField(choices=SenderWindow.Window.values)
    used = serializers.IntegerField(help_text="Messages of this window so far.")
    limit = serializers.IntegerField(allow_null=True, help_text="Null: none, it is only counted.")
    ends_at = serializers.DateTimeField(help_text="When the next window begins.")
    is_shared = serializers.BooleanField(
        help_text="It is of several senders together, beside those of each."
    )


class SenderSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(source="sender.name")
    channel = serializers.ChoiceField(choices=Channel.choices, source="sender.channel")
    from_address = serializers.CharField(source="sender.from_address")
    state = serializers.ChoiceField(
        choices=[kind.value for kind in SenderKind],
        help_text="`active` and `recovering` take messages, `being_tried` takes one.",
    )
    since = serializers.DateTimeField(allow_null=True, help_text="Null where nobody can tell.")
    until = serializers.DateTimeField(
        allow_null=True, help_text="When it changes by itself at the latest, if it does."
    )
    why = serializers.CharField(help_text="For people.")
    quotas = QuotaSerializer(many=True)
