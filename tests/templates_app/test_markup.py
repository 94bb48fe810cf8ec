"""The language's tags come through MJML, Markdown, style inlining and the derived text."""

import re

import pytest

from templates_app import checking, rendering
from templates_app.markup import MarkupError, compile_mjml, inline_styles, text_of
from templates_app.rendering import compile_source, render
from templates_app.source import Source

ITEMS = {"items": [{"n": "A", "p": 1}, {"n": "B", "p": 2.5}], "url": "https://e.example/?a=1"}


def rendered(body, body_format="html", variables=ITEMS, **fields):
    source = Source("s", body, body_format, **fields)
    assert checking.check(source) == []
    return render(compile_source(source), variables)


def mjml(content):
    return f"<mjml><mj-body>{content}</mj-body></mjml>"


def column(content):
    return mjml(f"<mj-section><mj-column>{content}</mj-column></mj-section>")


def test_a_loop_between_rows_of_a_table_stays_there():
    table = "<table>{% for i in items %}<tr><td>{{ i.n }}</td></tr>{% endfor %}</table>"
    styled = f"<style>td {{ color: red }}</style>{table}"

    for made in (
        rendered(table),
        rendered(styled),
        rendered(column(f"<mj-text>{table}</mj-text>"), "mjml"),
        rendered(column(f"<mj-table>{table[7:-8]}</mj-table>"), "mjml"),
    ):
        cells = re.sub(r' style="[^"]*"', "", made.html).replace("<tbody>", "")
        assert "<tr><td>A</td></tr><tr><td>B</td></tr>" in cells.replace("</tbody>", "")
        assert made.text == "A\nB\n"


@pytest.mark.parametrize(
    "tag",
    [
        "{{ url }}",
        '{{ url | append: "&b=<2>" }}',
        "{{ url | append: '&b=<2>' }}",
        '{% if url == "<x>" or 3 > 2 %}{{ url }}{% endif %}',
        "{%- assign u = url -%}{{ u }}",
    ],
)
def test_tags_with_quotes_and_brackets_survive_in_text_and_attributes(tag):
    plain = f'<a href="{tag}" style="color: {{{{ color }}}}">{tag}</a>'
    values = {"url": "https://e.example", "color": "red"}
    expected = rendered(plain, variables=values).html

    styled = rendered(f"<style>a {{ margin: 0 }}</style>{plain}", variables=values).html
    compiled = rendered(column(f"<mj-text>{plain}</mj-text>"), "mjml", values).html

    inner = expected.removeprefix('<a href="').partition('" style=')[0]
    for html in (styled, compiled):
        assert f">{inner}</a>" in html
        assert f'href="{inner}"' in html
        assert "color: red" in html


def test_a_block_around_sections_columns_and_elements_of_mjml():
    body = mjml(
        "{% for s in items %}<mj-section>{% if s.p > 1 %}<mj-column>{% if true %}"
        "<mj-text>{{ s.n }}</mj-text>{% endif %}</mj-column>{% endif %}</mj-section>{% endfor %}"
    )

    made = rendered(body, "mjml")

    assert made.html.count(">B</div>") == 1
    assert ">A</div>" not in made.html


@pytest.mark.parametrize(
    ("body", "code", "place", "words"),
    [
        ("<mjml>\n<mj-body>", "invalid_markup", (2, 1), "never closed"),
        (mjml("\n <mj-section></mj-column>"), "invalid_markup", (2, 14), "still open"),
        (mjml("<mj-foo/>"), "invalid_markup", (1, 16), "no <mj-foo>"),
        (mjml('<mj-include path="/etc/passwd" />'), "invalid_markup", (1, 16), "mj-include"),
        (mjml("{{ a }}{{ b }}\n<p></i>"), "invalid_markup", (2, 4), "still open"),
        ("<p>x</p>", "invalid_markup", (0, 0), "no MJML"),
        (mjml("<mj-section>" * 101), "invalid_markup", (1, 1192), "elements deep"),
    ],
)
def test_what_is_wrong_with_mjml_is_said_at_its_place(body, code, place, words):
    with pytest.raises(MarkupError, match=words) as refused:
        compile_mjml(body)

    assert (refused.value.code, refused.value.line, refused.value.column) == (code, *place)


def test_a_mail_asks_nobody_for_fonts_that_it_only_names():
    named = '<mj-attributes><mj-all font-family="Roboto, Lato" /></mj-attributes>'
    asked = '<mj-font name="Lato" href="https://fonts.example.com/lato.css" />'

    def compiled(head):
        body = column("<mj-text>Hello</mj-text>")
        return compile_mjml(body.replace("<mj-body>", f"<mj-head>{head}</mj-head><mj-body>"))

    assert "@import" not in compiled(named)
    assert "https:" not in compiled(named)
    assert "@import url(https://fonts.example.com/lato.css)" in compiled(asked + named)


def test_a_tag_that_mjml_would_drop_is_an_error():
    body = "<mjml><mj-head>{% if a %}<mj-title>x</mj-title>{% endif %}</mj-head><mj-body/></mjml>"

    with pytest.raises(MarkupError, match=re.escape("no place for {% if a %} here")) as refused:
        compile_mjml(body)

    assert (refused.value.code, refused.value.line, refused.value.column) == ("lost_tag", 1, 16)


def test_errors_in_mjml_name_the_place_in_what_was_written():
    source = Source("s", column("\n\n<mj-text>\n{{ x.y }}</mj-text>"), "mjml")

    with pytest.raises(rendering.RenderError) as refused:
        render(compile_source(source), {"x": {}})

    problem = refused.value.problem
    assert (problem.part, problem.line, problem.column) == ("body", 4, 4)
    assert (problem.code, problem.variable) == ("undefined_variable", "x.y")


MARKDOWN = """# Hello {{ name }}

{% for i in items %}
- **{{ i.n }}** at [{{ i.p }}]({{ url }})
{% endfor %}

| what | price |
|------|------:|
{% for i in items %}
| {{ i.n }} | {{ i.p | currency: "EUR" }} |
{% endfor %}

Bye.
"""


def test_markdown_with_loops_around_list_items_and_rows():
    made = rendered(MARKDOWN, "markdown", {**ITEMS, "name": "<b>*Ann*</b>"})

    assert ">Hello &lt;b&gt;*Ann*&lt;/b&gt;</h1>" in made.html
    assert made.html.count("<li") == made.html.count("</li>") == 2
    assert made.html.count("<table") == made.html.count("</table>") == 1
    assert made.html.count("<tr") == made.html.count("</tr>") == 3
    assert made.text.splitlines()[-3:] == ["A €1.00", "B €2.50", "Bye."] or "A €1.00" in made.text


def test_styles_are_not_inlined_where_a_condition_decides_about_attributes():
    html = '<style>p {color: red}</style><p {% if a %}class="x"{% else %}class="y"{% endif %}>z</p>'

    assert inline_styles(html) == html


def test_media_queries_and_hovers_stay():
    html = "<style>@media (max-width:9px){p{margin:0}} p:hover{color:red} p{color:blue}</style><p>x"

    inlined = inline_styles(html)

    assert "@media (max-width:9px)" in inlined
    assert "p:hover" in inlined
    assert '<p style="color: blue;">' in inlined


def test_the_derived_text_leaves_out_what_is_not_read():
    html = (
        "<head><title>t</title><style>p{}</style></head><body><div style='display:none'>pre</div>"
        '<p>Hi {{ n }}</p><img alt="logo"><p>{% if x %}<a href="{{ u }}">Go</a>{% endif %}</p>'
    )

    assert text_of(html) == "Hi {{ n }}\n\n{% if x %}Go: {{ u }}{% endif %}"


def test_where_no_text_can_be_derived_from_the_tags_it_is_made_of_what_is_rendered():
    body = '<p title="{% if x %}a">{{ n }}</p><p>{% endif %}z</p>'

    assert rendering.derive_text(body) == ""
    # It cannot be published either, and is rendered all the same.
    compiled = rendering.compile_source(Source("s", body))
    text = rendering.render(compiled, {"x": True, "n": "Ann"}).text
    assert text.split() == ["Ann", "z"]
