"""Templates as files that people can review and keep in git.

A folder for each code and in it one for each language, `default` for the one without:
`welcome/zh-hans/template.json` holds everything but the text, which lies in `body.mjml`
(`.html`, `.md`, `.txt`) and, if there is one, `text.txt` beside it.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from accounts.models import Application
from core.errors import Code, DomainError
from templates_app import checking, publishing
from templates_app.models import HANDLING, Template, TemplateVersion, no_variables
from templates_app.publishing import Author, Draft
from templates_app.source import BODY_FORMATS, Source, unstorable
from templates_app.variables import problems_of_schema, suggest_schema

STARTERS = Path(__file__).resolve().parent / "starters"
DEFAULT = "default"
BODIES = {"html": "body.html", "mjml": "body.mjml", "markdown": "body.md", "text": "body.txt"}
ABOUT = "template.json"
TEXT = "text.txt"
_OF_TEMPLATE = ("name", "description", "channel", *HANDLING)
_OF_PROVIDER = (
    *("provider_template_id", "provider_signature", "provider_kind"),
    "provider_parameters",
)
_OF_VERSION = ("subject", "body_format", *_OF_PROVIDER, "variables")
_LARGEST_FILE = 1_000_000


@dataclass(frozen=True, slots=True)
class Stored:
    """One template as files: their contents by name."""

    code: str
    locale: str
    files: Mapping[str, str]

    @property
    def folder(self) -> str:
        return f"{self.code}/{self.locale or DEFAULT}"


@dataclass(frozen=True, slots=True)
class Change:
    """What an import does to one template. `diff` is empty where its text stays."""

    folder: str
    # `new`, `changed`, `published` (as it is, until now a draft) or `unchanged`.
    kind: str
    diff: str = ""


def application_named(name: str | None) -> Application | None:
    """Raises `DomainError` (`not_found`)."""
    if name is None:
        return None
    found = Application.objects.filter(name=name).first()
    if found is None:
        raise DomainError(Code.NOT_FOUND, f"There is no application {name}.")
    return found


# --- export --------------------------------------------------------------------------------------


def export_folder(folder: Path, *, application: Application | None) -> list[str]:
    """Write the templates of `application`, or the shared ones, that are not archived. Returns the
    folders that were written."""
    rows = Template.objects.filter(application=application, archived_at=None)
    written = []
    for template in rows.select_related("current_version").order_by("code", "locale"):
        version = _newest(template)
        if version is None:
            continue
        stored = as_files(template, version)
        target = folder / stored.folder
        target.mkdir(parents=True, exist_ok=True)
        for name in {*BODIES.values(), TEXT} - stored.files.keys():
            (target / name).unlink(missing_ok=True)
        for name, content in stored.files.items():
            (target / name).write_text(content, encoding="utf-8")
        written.append(stored.folder)
    return written


def as_files(template: Template, version: TemplateVersion) -> Stored:
    about = {name: getattr(template, name) for name in _OF_TEMPLATE}
    about |= {name: getattr(version, name) for name in _OF_VERSION}
    optional = (*_OF_PROVIDER, "description")
    kept = {name: value for name, value in about.items() if value or name not in optional}
    # PostgreSQL keeps no order among the names of an object.
    for name in {"variables", "provider_parameters"} & kept.keys():
        kept[name] = _in_order(kept[name])
    files = {
        ABOUT: json.dumps(kept, indent=2, ensure_ascii=False) + "\n",
        BODIES[version.body_format]: version.body,
    }
    if version.text:
        files[TEXT] = version.text
    return Stored(template.code, template.locale, files)


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _in_order(value[name]) for name in sorted(value)}
    return [_in_order(each) for each in value] if isinstance(value, list) else value


def _newest(template: Template) -> TemplateVersion | None:
    version = template.current_version or template.versions.order_by("-number").first()
    if version is not None:
        version.template = template
    return version


# --- import --------------------------------------------------------------------------------------


def import_folder(
    folder: Path,
    *,
    application: Application | None,
    by: Author,
    now: datetime,
    is_dry: bool = False,
    is_published: bool = False,
    is_confirmed: bool = False,
    only_new: bool = False,
) -> list[Change]:
    """Make the templates of `application`, or the shared ones, what the files say. All or nothing;
    with `is_dry` nothing. What is not among the files stays.

    Raises `DomainError` for files that cannot be read, for texts with errors, and as
    `publishing.publish` does; `ValidationError` for what a template cannot be.
    """
    found = list(read_folder(folder))
    if not found:
        raise DomainError(Code.INVALID_REQUEST, f"There is no {ABOUT} below {folder}.")
    changes = []
    with transaction.atomic():
        for stored in found:
            template = Template.objects.filter(
                application=application, code=stored.code, locale=stored.locale
            ).first()
            if template is not None and only_new:
                continue
            publish_as = (is_confirmed,) if is_published else ()
            changes.append(_bring(stored, template, application, by, now, publish_as))
        if is_dry:
            transaction.set_rollback(True)
    return changes


def _bring(
    stored: Stored,
    template: Template | None,
    application: Application | None,
    by: Author,
    now: datetime,
    publish_as: tuple[bool, ...],
) -> Change:
    about, draft = _read(stored)
    _check(stored, draft)
    kind, diff = "unchanged", ""
    if template is None:
        made = Template(application=application, code=stored.code, locale=stored.locale, **about)
        template = publishing.create_template(made, draft=draft, by=by, now=now)
        kind, diff = "new", _diff(None, stored)
    else:
        newest = template.versions.order_by("-number").first()
        before = as_files(template, newest) if newest is not None else None
        after = {**stored.files, ABOUT: _normal(about, draft)}
        if before is None or before.files != after:
            kind = "changed"
            diff = _diff(before, Stored(stored.code, stored.locale, after))
            publishing.change_template(template, changes=about, now=now)
            if newest is None or _text_of(before) != _text_of(Stored("", "", after)):
                version = newest if newest is not None and not newest.is_published else None
                publishing.save_draft(template, draft, by=by, now=now, version=version)
    version = template.versions.order_by("-number").first()
    if publish_as and version is not None and not version.is_published:
        version.template = template
        note = draft.change_note or "Imported."
        publishing.publish(version, change_note=note, by=by, now=now, is_confirmed=publish_as[0])
        kind = "published" if kind == "unchanged" else kind
    return Change(stored.folder, kind, diff)


def read_folder(folder: Path) -> Iterator[Stored]:
    for about in sorted(folder.glob(f"*/*/{ABOUT}")):
        names = {about.name, *BODIES.values(), TEXT}
        files = {}
        for path in sorted(about.parent.iterdir()):
            if path.name not in names or not path.is_file():
                continue
            if path.stat().st_size > _LARGEST_FILE:
                raise DomainError(Code.INVALID_REQUEST, f"{path} is too large.")
            try:
                files[path.name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                raise DomainError(Code.INVALID_REQUEST, f"{path} is not UTF-8.") from error
        locale = about.parent.name
        code = about.parent.parent.name
        yield Stored(code, "" if locale == DEFAULT else locale, files)


def _read(stored: Stored) -> tuple[dict[str, Any], Draft]:
    """What a template's fields are, and its draft. Raises `DomainError` (`invalid_request`)."""

    def wrong(words: str) -> DomainError:
        return DomainError(Code.INVALID_REQUEST, f"{stored.folder}: {words}")

    try:
        about = json.loads(stored.files[ABOUT])
    except ValueError as error:
        raise wrong(f"{ABOUT} is no JSON: {error}.") from error
    if not isinstance(about, dict):
        raise wrong(f"{ABOUT} is no object.")
    if unknown := about.keys() - {*_OF_TEMPLATE, *_OF_VERSION}:
        raise wrong(f"{ABOUT} has fields that are not known: {', '.join(sorted(unknown))}.")
    body_format = about.get("body_format", "html")
    body = BODIES.get(body_format) if isinstance(body_format, str) else None
    if body is None or body not in stored.files:
        raise wrong(f"its body_format is {body_format}, so there must be {body or 'a body'}.")
    if others := {*BODIES.values()} & stored.files.keys() - {body}:
        raise wrong(f"it has more than one body: {', '.join(sorted({body, *others}))}.")
    parameters = about.get("provider_parameters", {})
    if not _are_texts(parameters):
        raise wrong("its provider_parameters are no object of texts.")
    source = Source(
        subject=str(about.get("subject", "")),
        body=stored.files[body],
        body_format=body_format,
        text=stored.files.get(TEXT, ""),
        channel=str(about.get("channel", "email")),
        parameters=parameters,
    )
    if source.channel not in BODY_FORMATS:
        raise wrong(f"there is no channel {source.channel}; there are: {', '.join(BODY_FORMATS)}.")
    known = about.get("variables", no_variables())
    found_wrong = [problem.detail for problem in unstorable(source)]
    found_wrong += [error.detail for error in problems_of_schema(known)]
    if found_wrong:
        raise wrong(found_wrong[0])
    # What its text asks for beyond them, as publishing would add.
    found = checking.find_variables(source)
    draft = Draft(
        source,
        variables=suggest_schema(found, known, keep_unused=True),
        provider_template_id=str(about.get("provider_template_id", "")),
        provider_signature=str(about.get("provider_signature", "")),
        provider_kind=str(about.get("provider_kind", "")),
    )
    fields = {name: about[name] for name in _OF_TEMPLATE if name in about}
    return {"name": stored.code, **fields}, draft


def _are_texts(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(text, str) for text in found.values())


def _check(stored: Stored, draft: Draft) -> None:
    problems = checking.check(draft.source)
    if problems:
        lines = [f"{e.pointer[1:]}: {e.detail}" for e in publishing.as_field_errors(problems)]
        raise DomainError(
            Code.INVALID_REQUEST,
            "\n".join(f"{stored.folder}: {line}" for line in lines),
            errors=publishing.as_field_errors(problems),
        )


def _normal(about: Mapping[str, Any], draft: Draft) -> str:
    """The description as an export would write it, so that order and blanks make no difference."""
    template = Template(**about)
    version = TemplateVersion(
        subject=draft.source.subject,
        body_format=draft.source.body_format,
        variables=draft.variables,
        provider_template_id=draft.provider_template_id,
        provider_signature=draft.provider_signature,
        provider_kind=draft.provider_kind,
        provider_parameters=dict(draft.source.parameters),
    )
    return as_files(template, version).files[ABOUT]


def _text_of(stored: Stored | None) -> Any:
    """What belongs to a version, of one template's files."""
    if stored is None:
        return None
    about = json.loads(stored.files[ABOUT])
    return {name: about.get(name) for name in _OF_VERSION}, {
        name: content for name, content in stored.files.items() if name != ABOUT
    }


def _diff(before: Stored | None, after: Stored) -> str:
    lines: list[str] = []
    old = before.files if before else {}
    for name in sorted({*old, *after.files}):
        lines += difflib.unified_diff(
            old.get(name, "").splitlines(),
            after.files.get(name, "").splitlines(),
            f"a/{after.folder}/{name}" if name in old else "/dev/null",
            f"b/{after.folder}/{name}" if name in after.files else "/dev/null",
            lineterm="",
        )
    return "\n".join(lines)
