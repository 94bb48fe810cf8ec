"""Which templates an application sees, and which it may change."""

from django.db.models import F, Q, QuerySet

from core.errors import Code, DomainError
from templates_app.models import Template, TemplateVersion


def visible_to(application_id: int) -> QuerySet[Template]:
    """Its own and the shared ones."""
    rows = Template.objects.filter(Q(application=application_id) | Q(application=None))
    return rows.select_related("current_version")


def find_template(application_id: int, code: str, locale: str) -> Template:
    """Its own before a shared one; the language exactly. Raises `DomainError` (`not_found`)."""
    named = visible_to(application_id).filter(code=code)
    found = named.filter(locale=locale).order_by(F("application").asc(nulls_last=True)).first()
    if found is None:
        raise DomainError(Code.NOT_FOUND, _why_none(named, code, locale))
    return found


def find_own(application_id: int, code: str, locale: str) -> Template:
    """Raises `DomainError`: `not_found`, or `forbidden` for a shared one."""
    found = find_template(application_id, code, locale)
    if found.application_id is None:
        detail = f"{found} is shared by all applications; operators change it in the admin."
        raise DomainError(Code.FORBIDDEN, detail)
    return found


def find_version(template: Template, number: int) -> TemplateVersion:
    """Raises `DomainError` (`not_found`)."""
    version = template.versions.filter(number=number).first()
    if version is None:
        raise DomainError(Code.NOT_FOUND, f"The template {template} has no version {number}.")
    version.template = template
    return version


def find_for_preview(
    application_id: int, code: str, locale: str, number: int | None
) -> TemplateVersion:
    """The nearest language, as for sending; the version that is asked for, else the current one,
    else the newest draft. Raises `DomainError` (`not_found`)."""
    named = visible_to(application_id).filter(code=code)
    nearest = languages(locale)
    rows = sorted(
        named.filter(locale__in=nearest),
        key=lambda row: (row.application_id is None, nearest.index(row.locale)),
    )
    if not rows:
        raise DomainError(Code.NOT_FOUND, _why_none(named, code, locale))
    template = rows[0]
    if number is not None:
        return find_version(template, number)
    version = template.current_version or template.versions.order_by("-number").first()
    if version is None:
        raise DomainError(Code.NOT_FOUND, f"The template {template} has no version yet.")
    version.template = template
    return version


def languages(locale: str) -> list[str]:
    """`zh-hans-cn`, `zh-hans`, `zh`, and the default."""
    parts = locale.split("-") if locale else []
    return ["-".join(parts[:length]) for length in range(len(parts), 0, -1)] + [""]


def _why_none(named: QuerySet[Template], code: str, locale: str) -> str:
    others = sorted(set(named.values_list("locale", flat=True)))
    if not others:
        return f"There is no template {code}."
    there = ", ".join(other or "the default" for other in others)
    which = f"for the language {locale}" if locale else "without a language"
    return f"There is no template {code} {which}. There is: {there}; say which with ?locale=."
