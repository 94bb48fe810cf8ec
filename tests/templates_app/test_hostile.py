"""Texts and values that want more than they should get: time, memory, or to run somewhere."""

import contextlib
import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from templates_app import checking, markup
from templates_app.checking import check
from templates_app.filters import FILTERS
from templates_app.rendering import RenderError, compile_source, render
from templates_app.source import Source

VALUES = {
    "x": "abcdefghij" * 100,
    "big": "a" * 300_000,
    "list": [{"n": str(number), "s": "a" * 50} for number in range(2000)],
    "deep": [[[[[["x"] * 50] * 10] * 10]]],
    "n": 10**18,
    "html": "<script>alert(1)</script>",
}
LOOP = "{% for i in (1..20000) %}"
# Each against subject, HTML and text, in one way or another.
HOSTILE = {
    "20 MB": LOOP + "x" * 1000 + "{% endfor %}",
    "a long range": "{% for i in (1..1000000000) %}x{% endfor %}",
    "a long range backwards": "{% for i in (1..1000000000) reversed %}x{% endfor %}",
    "a long range from its end": "{% for i in (1..1000000000) offset: 999999990 %}x{% endfor %}",
    "loops in loops": LOOP * 3 + "x" + "{% endfor %}" * 3,
    "loops after loops": (LOOP + "{% endfor %}") * 200,
    "loops that print nothing": LOOP + "{% assign a = 1 %}" * 500 + "{% endfor %}",
    "loops over the same list": "{% for a in list %}{% for b in list %}{% endfor %}{% endfor %}",
    "doubling": "{% assign a = x %}" + "{% assign a = a | append: a %}" * 40,
    "doubling in one tag": "{{ x" + " | append: big" * 500 + " }}",
    "squaring": "{{ x" + " | replace: 'a', big" * 5 + " }}",
    "inserting between all letters": "{{ big | replace: '', big }}",
    "lists that double": "{% assign a = list %}" + "{% assign a = a | concat: a %}" * 40,
    "one long text many times": "{% assign a = big | split: 'b' %}"
    + "{% assign a = a | concat: a %}" * 13
    + "{{ a }}",
    "letters as a list": "{{ big | split: '' | join: big }}",
    "joined ranges": "{{ (1..1000000000) | join: 'x' }}",
    "a cycle of lists": LOOP + "{% cycle list, list %}{% endfor %}",
    "a cycle of texts": LOOP + "{% cycle big, big %}{% endfor %}",
    "a text in a list": "{% if big contains list %}x{% endif %}",
    "captures": "{% capture a %}"
    + "x" * 1000
    + "{% endcapture %}"
    + "{% capture a %}{{ a }}{{ a }}{% endcapture %}" * 20,
    "many names": "".join("{% assign a" + str(number) + " = big %}" for number in range(2000)),
    "numbers that grow": "{% assign a = n %}" + "{% assign a = a | times: a %}" * 60 + "{{ a }}",
    "infinity": "{{ 1e300 | times: 1e300 }}",
    "division by nothing": "{{ 1 | divided_by: 0 }}",
    "many decimals": "{{ 1.5 | round: 1000000000 }}{{ n | number: 1000000000 }}",
    "sorting again and again": LOOP + "{% assign a = list | sort: 's' %}{% endfor %}",
    "stripping what is no tag": "{{ html | append: big | strip_html }}",
    "many brackets": "{{ '<' | append: big | replace: 'a', '<' | strip_html }}",
    "deep blocks": "{% if x %}" * 5000,
    "deep conditions": "{% if " + "x and " * 5000 + "x %}a{% endif %}",
    "a deep path": "{{ x" + ".a" * 5000 + " }}",
    "paths in paths": "{{ " + "x[" * 2000 + "x" + "]" * 2000 + " }}",
    "many tags": "{{ x }}" * 20_000,
    "many filters": "{{ x" + " | upcase | downcase" * 10_000 + " }}",
    "an open tag": "{{ " + " " * 100_000,
    "an open tag with words": "{{ " + "x " * 50_000,
    "blanks in a tag": "{{ x" + " " * 100_000 + "}}",
    "blanks in a raw": "{% raw " + " " * 100_000 + "%}" + "{% endraw " + " " * 100_000,
    "open raws": "{% raw %}" * 2000,
    "open comments": "{% comment %}" * 2000,
    "a time that is none": "{{ big | date: '%Y' }}{{ n | date: '%Y' }}",
    "a long form": "{{ '2026-01-01' | date: big }}",
    "a cut in words": "{{ big | truncatewords: 99999999999, big }}",
    "includes": "{% include 'x' %}{% render 'x' %}",
    "insides of values": "{{ x.__class__.__mro__ }}{{ list.append }}{{ x['__init__'] }}",
    "insides of loops": "{% for a in list %}{{ forloop }}{{ forloop.it }}{% endfor %}",
    "format strings": "{{ '{0.__class__}' | append: x }}{{ '%s%n' | append: x }}",
    "arguments of ours": "{{ x | append: 'a', context: 1 }}{{ x | escape: environment: 1 }}",
    "a safe": "{{ html | safe }}",
    "the time": "{{ now }}{{ today }}",
}


def memory() -> int:
    """The most that this process has held so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def attack(text: str, part: str) -> str:
    """What came of it: the words of an error, or what was printed."""
    source = {
        "subject": Source(text, "x", "text"),
        "html": Source("x", f"<p>{text}</p>", "html"),
        "text": Source("x", text, "text"),
    }[part]
    check(source)
    checking.find_variables(source)
    try:
        rendered = render(compile_source(source), VALUES)
    except RenderError as error:
        return f"{error} {error.problem}"
    return {"subject": rendered.subject, "html": rendered.html, "text": rendered.text}[part]


@pytest.mark.parametrize("part", ["subject", "html", "text"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_stopped_soon_and_small(name, part):
    started, before = time.process_time(), memory()

    came_out = attack(HOSTILE[name], part)

    assert time.process_time() - started < 2
    assert memory() - before < 50
    assert len(came_out) < 530_000
    for inside in ("object at 0x", "<class", "built-in method", "Traceback", "templates_app"):
        assert inside not in came_out


def test_all_of_them_together_leave_no_more_than_50_megabytes():
    for text in HOSTILE.values():
        attack(text, "html")
    before = memory()

    for _ in range(3):
        for name, text in HOSTILE.items():
            if name not in ("loops that print nothing", "sorting again and again"):
                attack(text, "html")

    assert memory() - before < 50


MARKUP = {
    "deep elements": "<div>" * 40_000,
    "deep and closed": "<div>" * 20_000 + "</div>" * 20_000,
    "open formats": "<b>" * 100 + "<p>x" * 4000,
    "open styles": "<style>" * 20_000,
    "open comments": "<!--" * 40_000,
    "open quotes": '<a href="' * 20_000,
    "mixed quotes": "<a b=\"'" * 20_000,
    "many attributes": "<p " + "a=b " * 40_000 + ">",
    "many rules": "<style>" + ".a .b > .c:not(.d){color:red}" * 2000 + "</style>" + "<p>x" * 4000,
    "brackets": "<" * 150_000,
    "a file as a style": '<link rel="stylesheet" href="file:///etc/passwd"><style>a{}</style>x',
    "an imported style": "<style>@import url(http://127.0.0.1:9/x.css);</style><p>x</p>",
}
MARKDOWN = {
    "stars": "*a" * 25_000,
    "brackets": "[" * 50_000,
    "links": "![](" * 12_000,
    "quotes": "> " * 20_000 + "x",
    "lists": "- " * 20_000 + "x",
    "tables": "|a" * 5000 + "\n" + "|-" * 5000 + "\n" + "|b" * 5000,
    "ticks": "`" * 50_000,
}


def stays_small(source: Source) -> None:
    started, before = time.process_time(), memory()

    check(source)
    with contextlib.suppress(RenderError):
        render(compile_source(source), VALUES)

    assert time.process_time() - started < 2
    assert memory() - before < 50


@pytest.mark.parametrize("name", MARKUP)
def test_hostile_markup_is_stopped_soon_and_small(name):
    body = MARKUP[name]

    stays_small(Source("x", f"<style>p{{color:red}}</style>{body}", "html"))
    mjml = f"<mjml><mj-body><mj-section><mj-column><mj-text>{body}</mj-text></mj-column>"
    stays_small(Source("x", mjml + "</mj-section></mj-body></mjml>", "mjml"))


@pytest.mark.parametrize("name", MARKDOWN)
def test_hostile_markdown_is_stopped_soon_and_small(name):
    stays_small(Source("x", MARKDOWN[name], "markdown"))


def test_nothing_is_read_from_files_or_the_network():
    html = markup.inline_styles(MARKUP["a file as a style"] + MARKUP["an imported style"])

    assert "root:" not in html


# --- what a value can say ------------------------------------------------------------------------

ATTACKS = st.sampled_from(
    ["<script>x</script>", '"><img src=x onerror=x>', "'><b>", "&lt;b&gt;<i>", "<!--", "</p><u>"]
)
ARGUMENTS = {
    "append": ": x", "prepend": ": x", "replace": ": 'a', x", "remove": ": 'q'", "join": ": x",
    "split": ": 'q'", "truncate": ": 30", "slice": ": 0, 30", "default": ": x", "concat": ": l",
    "map": ": 'k'", "where": ": 'k'", "date": ": x", "currency": ": 'EUR'", "remove_first": ": 'q'",
    "replace_first": ": 'a', x", "times": ": 2", "plus": ": 2", "minus": ": 2", "divided_by": ": 2",
    "modulo": ": 2", "at_least": ": 2", "at_most": ": 2", "cycle": "",
}  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    value=ATTACKS,
    chain=st.lists(st.sampled_from(sorted(FILTERS)), max_size=4),
    start=st.sampled_from(["x", "l", "'a'", "o.k"]),
    is_captured=st.booleans(),
)
def test_no_chain_of_filters_prints_a_value_as_html(value, chain, start, is_captured):
    filters = "".join(f" | {name}{ARGUMENTS.get(name, '')}" for name in chain)
    tag = f"{{{{ {start}{filters} }}}}"
    if is_captured:
        tag = f"{{% capture c %}}{{{{ x }}}}{tag}{{% endcapture %}}{{{{ c{filters} }}}}"
    source = Source("s", f"[{tag}]", "html")

    try:
        html = render(compile_source(source), {"x": value, "l": [value], "o": {"k": value}}).html
    except RenderError:
        return

    # The only element that a filter makes.
    assert "<" not in html.replace("<br />", "")


LINKS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "javascript&colon;alert(1)",
    "vbscript:x",
    "data:text/html,<script>x</script>",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_runs_something_leads_nowhere_and_is_reported(link):
    source = Source("x", "<a href=\"{{ x }}\">a</a> <a href='{{ x }}'>b</a>", "html")

    if "\x01" in link:
        with pytest.raises(RenderError, match="control character"):
            render(compile_source(source), {"x": link})
        return
    rendered = render(compile_source(source), {"x": link})

    if "&" in link:  # What was escaped is no colon any more.
        assert 'href="javascript&amp;colon;' in rendered.html
        return
    assert rendered.html == "<a href=\"#\">a</a> <a href='#'>b</a>"
    assert [warning.code for warning in rendered.warnings] == ["unsafe_url"]


@pytest.mark.parametrize("link", ["https://a.example/x:y", "weixin://x", "/a", "mailto:a@b.c", "#"])
def test_other_links_stay_as_they_are(link):
    rendered = render(compile_source(Source("x", '<a href="{{ x }}">a</a>')), {"x": link})

    assert rendered.html == f'<a href="{link}">a</a>'
    assert rendered.warnings == ()
