"""The message that everything is measured with: an order's confirmation, 5.7 kB of HTML and its
text."""

SUBJECT = "Your order 2026-118-4711 is on its way"
HTML_BYTES = 5_700

_HEAD = """<!doctype html><html><head><meta charset="utf-8"><title>Your order</title></head>
<body style="margin:0;background:#f4f5f7;font-family:Helvetica,Arial,sans-serif;color:#1f2933">
<table role="presentation" width="600" align="center" cellpadding="0" cellspacing="0">
<tr><td style="padding:24px"><h1 style="font-size:22px">Thank you, Zoë 张</h1>
<p style="line-height:1.5">Your order left our warehouse today. Here is what is in the box:</p>
<table role="presentation" width="100%" cellpadding="8" style="border-collapse:collapse">
"""
_LINE = """<tr style="border-bottom:1px solid #e4e7eb"><td>{n}</td><td>Notebook, dotted, A5, \
series {n}</td><td align="right">{n} × 7.40 €</td></tr>
"""
_TAIL = """</table><p style="line-height:1.5">You can follow the parcel, change its address or send
it back: <a href="https://shop.example.com/orders/2026-118-4711">shop.example.com/orders</a>.</p>
<p style="font-size:12px;color:#7b8794">You get this mail because you bought something. {pad}</p>
</td></tr></table></body></html>
"""


def html() -> str:
    """Lines of the order until the size is reached, and a last sentence to hit it exactly."""
    body, number = _HEAD, 0
    rest = len(_TAIL.format(pad="").encode())
    while len(body.encode()) + rest + 140 < HTML_BYTES:
        number += 1
        body += _LINE.format(n=number)
    missing = HTML_BYTES - len(body.encode()) - rest
    return body + _TAIL.format(pad=("Thank you for reading so far. " * 20)[:missing])


def text() -> str:
    lines = "\n".join(f"{n:>3}  Notebook, dotted, A5, series {n}  {n} × 7.40 €" for n in range(12))
    return f"Thank you, Zoë 张\n\nYour order left our warehouse today:\n\n{lines}\n\nGoodbye.\n"


HTML, TEXT = html(), text()
