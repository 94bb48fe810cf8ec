"""Tags where a value could become markup, whichever way it gets there."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates_app.checking import check
from templates_app.rendering import RenderError, compile_source, render
from templates_app.source import Source


def codes(body):
    return [problem.code for problem in check(Source("s", body))]


@pytest.mark.parametrize(
    "body",
    [
        # As they stand.
        "<p {{ x }}>a</p>",
        "<{{ x }}>a",
        "<p class={{ x }}>a</p>",
        "<script>{{ x }}</script>",
        '<a onclick="{{ x }}">a</a>',
        '<iframe srcdoc="{{ x }}"></iframe>',
        "<p {% cycle x, 'b' %}>a</p>",
        # Behind a block.
        '<a {% if y %}onclick="{{ x }}"{% endif %}>a</a>',
        '<a o{% if y %}n{% endif %}click="{{ x }}">a</a>',
        '<a {% if y %}title="{% endif %}{{ x }}{% if y %}"{% endif %}>a</a>',
        "<s{% if y %}cript{% endif %}>{{ x }}</script>",
        "<a title={% if y %}1{% endif %} alt=\"{{ x }}\">a</a>",
        "{% if y %}<a title={% endif %}<b>b</b>{{ x }}>",
        "{% for a in list %}<p title='{% endfor %}{{ x }}",
        "{% case y %}{% when 1 %}<p {% when 2 %}<b>{% endcase %}{{ x }}>",
        # Captured or assigned.
        "{% capture c %}<p title={% endcapture %}<b>b</b>{{ c }}{{ x }}>",
        "{% capture c %}title={{ x }}{% endcapture %}<p {{ c }}>a</p>",
        '{% capture c %}Ann "{{ x }}" Lee{% endcapture %}<img alt="{{ c }}">',
        '{% capture c %}<b class="{{ x }}">b</b>{% endcapture %}<img alt="{{ c }}">',
        "{% capture c %}'{{ x }}{% endcapture %}{% assign d = c %}<img alt='{{ d }}'>",
        "{% assign q = '\"' %}<img alt=\"{{ q }}{{ x }}\">",
        "{% assign t = '<a title=' %}{{ t }}{{ x }}>",
        "{{ '<a title=' }}{{ x }}>",
        "{{ '<a title=' | append: x }}>",
        "<img alt=\"{{ y | default: '\"' }}{{ x }}\">",
        "{% raw %}<a title={% endraw %}{{ x }}>",
        "<img alt=\"{% raw %}\"{% endraw %}{{ x }}\">",
    ],
)  # fmt: skip
def test_a_value_that_could_become_markup_is_refused(body):
    assert "unsafe_place" in codes(body)


@pytest.mark.parametrize(
    "body",
    [
        '{% capture c %}<a href="{{ x }}">a</a>{% endcapture %}<p>{{ c }}</p>',
        '{% if x %}<a href="{{ x }}">{% else %}<a href="#">{% endif %}a</a>',
        '<td class="a{% if x %} {{ x }}{% endif %}">a</td>',
        '<td{% if x %} width="{{ x }}"{% endif %}>a</td>',
        '<td class="a" {% unless x %}width="1"{% endunless %}>a</td>',
        "<option{% if x %} selected{% endif %}>a</option>",
        "{% for a in list %}<tr><td>{{ a }}</td></tr>{% endfor %}",
        '{% assign sep = " · " %}<img alt="{{ x | append: sep }}">',
        '{{ list | join: "<br>" }}',
        "<img alt=\"{{ x | replace: '\"', '”' }}\">",
        '{% assign who = "Ann\'s" %}<img alt="{{ who }}">',
        "<!--[if mso]>{% if x %}<table>{% endif %}<![endif]-->",
        "<title>{{ x }}</title><style>.a { color: {{ x }} }</style>",
        "1 < 2 {% if x %} <3 {% endif %} {{ x }}",
        "{% if x contains '\"' %}a{% endif %}{{ x }}",
    ],
)
def test_honest_ways_of_writing_are_not(body):
    assert codes(body) == []


def test_a_link_in_captured_markup_leads_nowhere_if_it_would_run_something():
    body = '{% capture c %}<a href="{{ x }}">a</a>{% endcapture %}<p>{{ c }}</p>'

    rendered = render(compile_source(Source("s", body)), {"x": "javascript:alert(1)"})

    assert rendered.html == '<p><a href="#">a</a></p>'
    assert [warning.code for warning in rendered.warnings] == ["unsafe_url"]


# --- any text, any way through it ----------------------------------------------------------------

HOSTILE = "q onzz=1 zz=2"
PIECES = st.sampled_from(
    [
        *("<p", "<a", "</p", ">", " ", '"', "'", "=", "title", "href=", "onb", "/", "b"),
        *("<!--", "-->", "{% assign d = '\"' %}", "{% assign c = '<a b=' %}"),
        *("{{ x }}", "{{ x }}", "{{ c }}", "{{ d }}", "{% assign d = c %}"),
        *("<b>x</b>", '<i class="c">', "<style>", "</style>", "{% cycle x, x %}"),
    ]
)  # fmt: skip


class Names(HTMLParser):
    """All names of elements and attributes."""

    def __init__(self, html):
        super().__init__()
        self.names = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.names += [tag, *(name for name, _ in attrs)]


def in_block(pieces):
    """Blocks are whole, or nearly no example would be a text at all."""
    blocks = ["{% if y %}*{% endif %}", "{% if n %}*{% else %}*{% endif %}",
              "{% for i in list %}*{% endfor %}", "{% capture c %}*{% endcapture %}"]  # fmt: skip
    inner = st.lists(pieces, max_size=5).map("".join)
    return st.builds(lambda form, a: form.replace("*", a), st.sampled_from(blocks), inner)


BODIES = st.lists(st.recursive(PIECES, in_block, max_leaves=12), min_size=2, max_size=14)


@settings(max_examples=1500, deadline=None)
@given(pieces=BODIES)
def test_no_text_that_may_be_published_makes_markup_of_a_value(pieces):
    body = "".join(pieces)
    source = Source("s", body)
    if check(source):
        return
    for y, n in ((True, False), (False, True), (True, True), (False, False)):
        values = {"x": HOSTILE, "y": y, "n": n, "list": [1, 2], "c": HOSTILE, "d": HOSTILE}
        try:
            html = render(compile_source(source, html=body), values).html
        except RenderError:
            continue

        assert not [name for name in Names(html).names if "zz" in name], html
