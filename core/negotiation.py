from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation


class JsonNegotiation(DefaultContentNegotiation):
    """Nearly every view has JSON only, and nearly every caller asks for it or for anything: no need
    to take that header apart on each request."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        first = renderers[0]
        asked = request.META.get("HTTP_ACCEPT", "*/*")
        if asked in {first.media_type, "*/*"} and not request.META.get("QUERY_STRING"):
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)
