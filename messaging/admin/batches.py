from django.contrib import admin

from messaging.admin.reading import ReadOnlyAdmin
from messaging.models import Batch


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ["id", "application", "channel", "accepted", "rejected", "created_at"]
    list_select_related = ["application"]
