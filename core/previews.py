from django.http import HttpResponse


def untrusted_html(html: str) -> HttpResponse:
    """Somebody's HTML for an `<iframe sandbox>` of ours: it runs nothing, loads nothing, knows
    nothing of the page around it, and is kept by no cache."""
    return HttpResponse(
        html,
        headers={
            "Content-Security-Policy": (
                "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'"
            ),
            "X-Frame-Options": "SAMEORIGIN",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
    )
