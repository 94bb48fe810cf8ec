import pytest

from templates_app import checking, rendering
from templates_app.checking import check, find_variables
from templates_app.discovery import discover
from templates_app.looking import look_at
from templates_app.rendering import RenderError, compile_source, render
from templates_app.source import Source
from templates_app.variables import Checker, example_of, problems_of_schema, suggest_schema


def text(body, locale="", **variables):
    return render(compile_source(Source("s", body, "text")), variables, locale=locale).text


@pytest.mark.parametrize(
    ("tag", "locale", "printed"),
    [
        ("{{ at | date: 'long' }}", "en", "November 22, 2026"),
        ("{{ at | date: 'long' }}", "zh-hans-cn", "2026年11月22日"),
        ("{{ at | date: 'long' }}", "de", "22. November 2026"),
        ("{{ at | date: 'long' }}", "xx", "November 22, 2026"),
        ("{{ at | date: '%d.%m.%Y %H:%M' }}", "", "22.11.2026 09:30"),
        ("{{ at | date: '%-d %B' }}", "de", "22 November"),
        ("{{ at | datetime: 'short', timezone: 'America/New_York' }}", "zh", "2026/11/21 20:30"),
        ("{{ at | time }}", "en-gb", "09:30"),
        ("{{ at | date: '%H:%M (UTC%:z)' }}", "", "09:30 (UTC+08:00)"),
        ("{{ '2026-01-02' | date: 'short' }}", "en", "1/2/26"),
        ("{{ 1767225600 | date: '%F' }}", "", "2026-01-01"),
        ("{{ n | number }}", "de", "1.234,5"),
        ("{{ n | number: 2 }}", "en", "1,234.50"),
        ("{{ '0.1' | number: 3 }}", "en", "0.100"),
        ("{{ n | currency: 'CNY' }}", "zh-hans", "¥1,234.50"),
        ("{{ n | currency: 'EUR' }}", "de", "1.234,50\xa0€"),
        ("{{ '19.90' | currency: 'USD' }}", "en", "$19.90"),
        ("{{ 0.25 | percent }}", "en", "25%"),
        ("{{ true }} {{ nothing }}|{{ list }}", "", "true |12"),
        ("{{ list | size }} {{ list | first }} {{ list | join: '-' }}", "", "2 1 1-2"),
        ("{{ 'a' | append: n | upcase }} {{ 7 | divided_by: 2 }}", "", "A1234.5 3"),
        ("{% cycle 'a', 'b' %}{% cycle 'a', 'b' %}", "", "ab"),
        ("{% raw %}{{ x }}{% endraw %}{% comment %}{{ x }}{% endcomment %}", "", "{{ x }}"),
    ],
)
def test_what_the_filters_print(tag, locale, printed):
    values = {"at": "2026-11-22T09:30:00+08:00", "n": 1234.5, "nothing": None, "list": [1, "2"]}

    assert text(tag, locale, **values).replace("\u202f", " ") == printed


@pytest.mark.parametrize(
    ("tag", "code", "words"),
    [
        ("{{ x }}", "undefined_variable", "The variable x is not given"),
        ("{{ o.missing }}", "undefined_variable", "o.missing"),
        ("{{ o }}", "not_renderable", "an object"),
        ("{{ o | append: 'x' }}", "not_renderable", "append needs a text"),
        ("{{ 'x' | date: 'long' }}", "not_renderable", "no time"),
        ("{{ o.a | date: 'longest' }}", "not_renderable", "date fails"),
        ("{{ 'x' | number }}", "not_renderable", "no number"),
        ("{{ 1 | currency: 'euro' }}", "not_renderable", "code such as"),
        ("{{ 1 | nope }}", "unknown_filter", "no filter nope"),
        ("{{ '2026-01-01' | date: '%Q' }}", "not_renderable", "%Q"),
        ("{{ 'now' | date: '%Y' }}", "not_renderable", "no time"),
        ("{{ now }}", "undefined_variable", "now"),
        ("{{ partial }}", "undefined_variable", "partial"),
        ("{{ 'a' | append }}", "not_renderable", "cannot be used like this"),
    ],
)
def test_what_cannot_be_printed_says_why_and_where(tag, code, words):
    with pytest.raises(RenderError, match=words) as refused:
        text(f"one\n two {tag}", o={"a": 1})

    problem = refused.value.problem
    assert (problem.code, problem.part, problem.line) == (code, "body", 2)
    assert problem.column > 5


@pytest.mark.parametrize(
    ("body", "line", "column", "code"),
    [
        ("a\n{{ b", 2, 1, "syntax_error"),
        ("a\n{% if b %}\nc", 2, 1, "syntax_error"),
        ("{% endif %}", 1, 4, "syntax_error"),
        ("{% unknown %}", 1, 4, "syntax_error"),
        ("\n\n{{ a | b }}", 3, 8, "unknown_filter"),
        ("{% for a of b %}{% endfor %}", 1, 10, "syntax_error"),
        ("<p id={{ a }}>", 1, 7, "unsafe_place"),
        ('<p onclick="{{ a }}">', 1, 13, "unsafe_place"),
        ("<p {{ a }}>", 1, 4, "unsafe_place"),
        ("<script>\n{{ a }}</script>", 2, 1, "unsafe_place"),
        ('<a href="javascript:x">', 1, 10, "unsafe_url"),
        ("  ", 0, 0, "blank"),
    ],
)
def test_what_is_wrong_with_a_text_is_found_without_variables(body, line, column, code):
    (problem,) = check(Source("s", body))

    assert (problem.part, problem.line, problem.column) == ("body", line, column)
    assert problem.code == code


def test_problems_of_all_parts_come_together():
    problems = check(Source("{{ a", "{{ b", "html", "{{ c"))

    assert [problem.part for problem in problems] == ["subject", "body", "text"]


def found(body):
    return {v.name: (v.type, v.is_required) for v in find_variables(Source("s", body))}


def test_variables_are_found_with_their_types_and_what_is_required():
    assert found("""
        {{ name }} {{ nick | default: "you" }} {{ price | currency: code }}
        {% for item in order.items %}{{ item.name }}{{ forloop.index }}{% endfor %}
        {% if coupon %}{{ coupon }}{% elsif plan == "gold" and level > 3 %}{{ gift }}{% endif %}
        {% assign own = name %}{{ own }}{% capture made %}{{ inner }}{% endcapture %}{{ made }}
        {% unless is_quiet %}{{ tags | join: ", " }}{% endunless %}
    """) == {
        "name": ("string", True),
        "nick": ("string", False),
        "price": ("number", True),
        "code": ("string", True),
        "order": ("object", True),
        "order.items": ("array", True),
        "order.items[].name": ("string", True),
        "coupon": ("string", False),
        "plan": ("string", False),
        "level": ("number", False),
        "gift": ("string", True),
        "inner": ("string", True),
        "is_quiet": ("boolean", False),
        "tags": ("array", True),
    }


def test_what_is_found_not_to_be_required_may_be_left_out():
    body = (
        "{{ a | default: 'x' }}{% if b %}{{ b }}{% endif %}{% if c == 'y' %}z{% endif %}"
        "{% if d.e %}{{ d.e }}{% endif %}{% unless f %}n{% endunless %}"
    )

    assert not any(is_required for _, is_required in found(body).values())
    assert text(body) == "xn"


def test_a_schema_follows_what_is_found_and_checks_it():
    variables = discover([("body", "{% for i in items %}{{ i.n }}{% endfor %}{{ u.name }}")])
    schema = suggest_schema(variables, {})

    assert problems_of_schema(schema) == []
    checker = Checker(schema)
    assert checker.check(example_of(schema)) == []
    pointers = [e.pointer for e in checker.check({"items": [{}, {"n": []}], "u": {}})]
    assert pointers == ["/variables/items/0/n", "/variables/items/1/n", "/variables/u/name"]


def test_the_same_source_can_be_rendered_in_many_threads_and_again():
    compiled = compile_source(Source("{{ a }}", "{% assign b = a %}{% cycle 'x', 'y' %}{{ b }}"))

    assert {rendering.render(compiled, {"a": "1"}).html for _ in range(3)} == {"x1"}


@pytest.mark.parametrize(
    "body",
    [
        "{{ at | date }}",
        "{{ at | date: '%Y' }} {{ at | time }}",
        "{{ at | default: now_ | datetime: 'long' }}",
        "{% for day in days %}{{ day | date }}{% endfor %}",
        "{% for one in list %}{{ one.at | date }}{% endfor %}",
        "{% assign d = at %}{{ d | date: timezone: zone }}",
        "{{ total | currency: code }} {{ text | truncate: length }} {{ 7 | divided_by: by }}",
    ],
)
def test_a_variable_without_an_example_is_shown_with_a_sample_of_its_kind(body):
    for schema in (
        {"type": "object"},
        {"type": "object", "properties": {"at": {"type": "string"}}},
    ):
        look = look_at(Source("Hi", body), schema=schema, locale="en")

        assert look.problems == []
        assert look.rendered is not None


def test_what_was_said_of_a_date_is_kept():
    said = {"type": "object", "properties": {"at": {"type": "string", "examples": ["2020-01-31"]}}}

    schema = suggest_schema(checking.find_variables(Source("s", "{{ at | date }}")), said)

    assert schema["properties"] == said["properties"]
    assert look_at(Source("s", "{{ at | date: '%F' }}"), schema=said, locale="").rendered.html == (
        "2020-01-31"
    )
