"""The pages as people see them, in both languages' texts, light and dark, wide and narrow. What is
checked here is that nothing is cut off; SCREENSHOTS=folder keeps the pictures to be looked at."""

from io import StringIO

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from templates_app.models import TemplateVersion
from tests.browser.editor import EditorPage
from tests.factories import make_operator, make_template, make_version

pytestmark = pytest.mark.django_db(transaction=True)

FRAME = """<div style="max-width:560px;margin:0 auto;padding:24px;font-family:sans-serif">
  <h1 style="font-size:22px">{title}</h1>
  <p>{text}</p>
  {{% for item in items %}}
    <p style="border-bottom:1px solid #ddd">{{{{ item.name }}}} <b>{{{{ item.price }}}}</b></p>
  {{% endfor %}}
  <p><a href="{{{{ url }}}}"
     style="background:#7c3aed;color:#fff;padding:12px 20px;border-radius:6px;display:inline-block"
     >{button}</a></p>
</div>
"""
TEXTS = {
    "en": {
        "subject": "Your order {{ number }} is on its way",
        "body": FRAME.format(
            title="Hello {{ name }}, your parcel has left us",
            text="It arrives within two days. You need not be at home.",
            button="Follow the parcel",
        ),
        "name": "Ann Lee",
        "items": [{"name": "Green tea, 100 g", "price": "8.90 €"}],
    },
    "zh-hans": {
        "subject": "您的订单 {{ number }} 已发货",
        "body": FRAME.format(
            title="{{ name }}，您好！您的包裹已经寄出",
            text="预计两天内送达，届时无需有人在家签收。",
            button="查看物流信息",
        ),
        "name": "李安娜",
        "items": [{"name": "明前龙井 100 克", "price": "¥68.00"}],
    },
}


def make_draft(locale):
    texts = TEXTS[locale]
    examples = {
        "name": ("string", texts["name"]),
        "number": ("string", "4711"),
        "items": ("array", texts["items"]),
        "url": ("string", "https://example.com/parcels/4711"),
    }
    return make_version(
        template=make_template(code="order-shipped", locale=locale, name="Order shipped"),
        subject=texts["subject"],
        body=texts["body"],
        variables={
            "type": "object",
            "properties": {
                name: {"type": kind, "examples": [example]}
                for name, (kind, example) in examples.items()
            },
            "required": sorted(examples),
        },
        change_note="",
    )


def is_cut_off(page):
    """Does the page have to be pushed sideways?"""
    return page.evaluate(
        "document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth"
    )


@pytest.mark.parametrize("locale", ["en", "zh-hans"])
@pytest.mark.parametrize(
    ("look", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("dark", 1024)]
)
def test_the_editor_is_whole(open_browser, photograph, locale, look, width):
    page = open_browser(
        make_operator(), viewport={"width": width, "height": 1000}, color_scheme=look
    )
    editor = EditorPage(page).open(make_draft(locale))

    expect(editor.frame.locator("h1")).to_contain_text(TEXTS[locale]["name"])
    expect(page.locator("[data-panel=body] .cm-content")).to_contain_text("{% for item in items %}")
    photograph(page, f"editor-{locale}-{look}-{width}")
    if width < 1000:
        editor.preview.scroll_into_view_if_needed()
        photograph(page, f"editor-{locale}-{look}-{width}-preview")
    assert not is_cut_off(page)


@pytest.mark.parametrize("locale", ["", "zh-hans"])
def test_the_starter_templates_are_whole_on_every_width(open_browser, photograph, locale):
    call_command("import_templates", stdout=StringIO())
    versions = TemplateVersion.objects.filter(
        template__locale=locale, template__channel="email"
    ).select_related("template")
    assert len(versions) == 5
    page = open_browser(make_operator())
    editor = EditorPage(page)

    for version in versions:
        editor.open(version)
        expect(editor.problems).to_have_count(0)
        for width in ("Desktop", "Mobile"):
            page.get_by_role("button", name=width).click()
            expect(editor.preview).to_have_attribute("data-shown-width", width.lower())
            frame = page.locator("iframe.te-frame").element_handle().content_frame()

            assert not is_cut_off(frame), (version, width)
            name = f"starter-{version.template.code}-{locale or 'en'}"
            if width == "Mobile":
                photograph(page.locator("iframe.te-frame"), name)
