"""Which pages the admin has: of every model that is registered the list, alone, with each value of
each filter and with searches, one row, its history, the form for a new one; and whatever else has
an address that needs nothing or one row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import RequestFactory
from django.urls import NoReverseMatch, reverse

# Of a filter's values so many are asked for; some filters list every sender.
VALUES = 8
# Pages that end something, or are no pages.
LEFT_OUT = ("logout", "jsi18n", "view_on_site", "autocomplete", "login")


@dataclass(frozen=True, slots=True)
class Page:
    """`of` is the model, or empty; `kind` the sort of page."""

    of: str
    kind: str
    path: str

    def __str__(self) -> str:
        return f"{self.of} {self.kind}: {self.path}" if self.of else self.path


def all_pages(*, searches: list[str]) -> list[Page]:
    found = list(_of_site())
    for model, model_admin in admin.site._registry.items():  # noqa: SLF001
        found += _of_model(model, model_admin, searches)
    # An address that two names lead to is asked once.
    return list({page.path: page for page in found}.values())


def _of_site() -> Iterator[Page]:
    for pattern in admin.site.get_urls():
        name = getattr(pattern, "name", None)
        if name and name not in LEFT_OUT and not pattern.pattern.converters:
            try:
                yield Page("", name, reverse(f"admin:{name}"))
            except NoReverseMatch:
                continue


def _of_model(model: Any, model_admin: Any, searches: list[str]) -> Iterator[Page]:
    of = model._meta.label
    request = _request()
    start = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    listed = reverse(f"{start}_changelist")
    yield Page(of, "list", listed)
    for query in _filters(model_admin):
        yield Page(of, "filter", listed + query)
    if model_admin.get_search_fields(request):
        for text in searches:
            yield Page(of, "search", f"{listed}?{urlencode({'q': text})}")
    if model_admin.has_add_permission(request):
        yield Page(of, "add", reverse(f"{start}_add"))
    newest = model.objects.order_by("-pk").values_list("pk", flat=True).first()
    for pattern in model_admin.get_urls():
        name, converters = getattr(pattern, "name", None), pattern.pattern.converters
        if not name or name.endswith(("_changelist", "_add")) or len(converters) > 1:
            continue
        if converters and newest is None:
            continue
        kwargs = dict.fromkeys(converters, newest)
        try:
            path = reverse(f"admin:{name}", kwargs=kwargs)
        except NoReverseMatch:
            # It asks for something else than a row.
            continue
        kind = name.removeprefix(start.partition(":")[2] + "_")
        yield Page(of, kind, path)


def _request() -> Any:
    """As it comes from somebody who may do everything."""
    request: Any = RequestFactory().get("/")
    request.user = get_user_model().objects.filter(is_superuser=True).first()
    return request


def _filters(model_admin: Any) -> Iterator[str]:
    changes = model_admin.get_changelist_instance(_request())
    for spec in changes.filter_specs:
        queries: list[str] = []
        for choice in spec.choices(changes):
            query = choice.get("query_string", "")
            if query and query != "?" and not choice.get("selected"):
                queries.append(query)
        if not queries:
            (parameter, *_) = spec.expected_parameters()
            values = getattr(spec, "lookup_choices", ())
            queries = [f"?{urlencode({parameter: value})}" for value, _ in values]
        yield from queries[:VALUES]
