"""Lists over tables of any size, and pages that only show."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib.admin import ShowFacets, SimpleListFilter
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

from accounts.audited import AuditedAdmin
from core.pagination import COUNT_LIMIT


class BoundedPaginator(Paginator):
    """Counts no further than 10,001 rows, and goes no deeper than the first 10,000."""

    template_name = "messaging/admin/bounded_pagination.html"

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by().values("pk")[: COUNT_LIMIT + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self._counted, COUNT_LIMIT)

    @property
    def has_more(self) -> bool:
        return self._counted > COUNT_LIMIT


class NewestFirst(ChangeList):
    """Whatever the address asks for, the order is that of the primary key."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        return ["-pk"]

    def get_results(self, request: HttpRequest) -> None:
        """The header tells how many were found, with a link to all there are: only where something
        narrows the list, and all that was found was counted."""
        super().get_results(request)
        is_narrowed = self.query or self.has_active_filters
        if not is_narrowed or self.paginator.has_more:
            self.full_result_count = self.result_count


def may_see_contents(request: HttpRequest) -> bool:
    """Recipients and contents as they are. Whoever may not sees who it was by a letter of the
    address, and nothing of what was written."""
    return bool(request.user.has_perm("messaging.see_contents"))


class MaskedMixin(AuditedAdmin):
    """`masked` names what stands for a field where recipients and contents are not to be seen:
    another field, or nothing. It holds for lists, pages and what leads to them."""

    masked: ClassVar[dict[str, str]] = {}

    def get_list_display(self, request: HttpRequest) -> list[str]:
        return self._shown(request, super().get_list_display(request))

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        links = super().get_list_display_links(request, list_display)
        return links and [name for name in links if name in list_display]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self._shown(request, super().get_fields(request, obj))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [
            (title, options | {"fields": self._shown(request, options["fields"])})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def _shown(self, request: HttpRequest, names: Any) -> list[Any]:
        if may_see_contents(request):
            return list(names)
        shown: list[Any] = []
        for name in names:
            # Fields that stand side by side are a tuple.
            if isinstance(name, str):
                shown += [seen] if (seen := self.masked.get(name, name)) else []
            elif beside := tuple(self._shown(request, name)):
                shown.append(beside)
        return shown


class ReadOnlyAdmin(MaskedMixin):
    """Shows rows and changes none. `searches_for` maps a text to a condition on indexes."""

    paginator = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    list_disable_select_all = True
    # They would count the whole table once for each choice of each filter.
    show_facets = ShowFacets.NEVER
    ordering = ["-pk"]
    sortable_by = ()
    list_filter: ClassVar[Any] = []
    # Named so that the search box shows; `get_search_results` does without them.
    search_fields: ClassVar[Any] = ["pk"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NewestFirst

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only our own filters: Django would take any `field__contains` from the address."""
        return lookup in {name for chosen in self.list_filter for name in chosen.names()}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return (self.search(queryset, search_term.strip()) if search_term else queryset), False

    def search(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        raise NotImplementedError


class ChoiceFilter(SimpleListFilter):
    """One of `choices_shown`; `narrow` makes the condition."""

    choices_shown: ClassVar[Any] = ()

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return (str(cls.parameter_name),)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(str(value), label) for value, label in self.choices_shown]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        known = {str(choice) for choice, _ in self.lookup_choices}
        return self.narrow(queryset, value) if value in known else queryset

    def narrow(self, rows: QuerySet[Any], value: str) -> QuerySet[Any]:
        raise NotImplementedError


def without_button(buttons: list[Any], name: str) -> list[Any]:
    """Of a page's buttons those that are not called `name`."""
    return [button for button in buttons if not button.action_name.endswith(f"_{name}")]


def with_pk(rows: QuerySet[Any], pks: set[UUID]) -> QuerySet[Any]:
    return rows.filter(pk__in=pks) if pks else rows.none()
