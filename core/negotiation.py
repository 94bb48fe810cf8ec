from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation


class JsonNegotiation(DefaultContentNegotiation):
    """Every view has JSON only, and nearly every caller asks for it or for anything: no need to
    take that header apart on each request."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        asked = request.META.get("HTTP_ACCEPT", "*/*")
        is_plain = renderers[0].media_type == "application/json"
        if (
            is_plain
            and asked in {"application/json", "*/*"}
            and not request.META.get("QUERY_STRING")
        ):
            return renderers[0], renderers[0].media_type
        return super().select_renderer(request, renderers, format_suffix)
