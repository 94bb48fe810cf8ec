"""What senders did: benched, recovered, switched off."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from core.labels import label
from messaging.admin.filters import SenderFilter
from messaging.admin.reading import ReadOnlyAdmin
from messaging.admin.sender_health import why_words
from messaging.models import SenderMove

COLORS = {"working": "success", "recovering": "info", "benched": "danger"}


@admin.register(SenderMove)
class SenderMoveAdmin(ReadOnlyAdmin):
    list_display = ["at", "sender", "from_state", "to", "reason", "until"]
    list_select_related = ["sender"]
    list_filter = [SenderFilter]
    search_fields = ()
    fields = ["sender", "at", "from_state", "to_state", "reason", "words", "until"]

    @display(description=_("to"))
    def to(self, move: SenderMove) -> str:
        return label(move.get_to_state_display(), COLORS.get(move.to_state, ""))

    @display(description=_("why"))
    def reason(self, move: SenderMove) -> str:
        return why_words(move)
