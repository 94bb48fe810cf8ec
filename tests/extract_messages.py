"""Brings the translations up to date with the sources: `make messages`.

Extracts what our apps and the installed packages that bring no Chinese have to say into
`locale/<language>/LC_MESSAGES/*.po`: what was translated stays, what is no longer said goes.
Compiles `*.mo`, which are committed, so that an installation needs no gettext. They hang on the
sources and the translations only: no dates, line numbers or versions of tools are in them.

Lists what has no translation yet. With `--check` it writes nothing and fails where it would.
"""

import argparse
import difflib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import django
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.apps import apps

import tests.environment  # noqa: F401 - the settings stand on it

ROOT = Path(__file__).resolve().parent.parent
OURS = ("core", "accounts", "templates_app", "messaging", "reporting", "notification_platform")
# Where they are installed.
WITHOUT_CHINESE = {"unfold", "axes", "django_otp"}
SCRIPTS = (
    ("django", "contrib/admin/static/admin/js"),
    ("unfold", "static/admin/js"),
    ("unfold", "contrib/filters/static/unfold/filters/js"),
)
TOOLS = ("xgettext", "msguniq", "msgmerge", "msgattrib")
LANGUAGES = ("zh_Hans",)
HEADER = "# See docs/translating.md. Brought up to date by `make messages`."
# The editor is bundled: what it says comes from `editor_words`. What lies beside a package's own
# `locale` would be written there.
NO_SOURCES = shutil.ignore_patterns("editor", "locale", "migrations", "static", "__pycache__")


class Steady(Catalog):
    """With a header that does not change by the day."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [
            ("Language", str(self.locale_identifier)),
            ("Plural-Forms", self.plural_forms),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
        ]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where it would")
    is_check = parser.parse_args(arguments).check
    if absent := is_missing():
        print(f"No {', '.join(absent)} here; on Debian: apt install gettext")
        return 1
    is_current = True
    for domain in DOMAINS:
        said = extract(domain)
        for language in LANGUAGES:
            catalog = translated(said, language, domain)
            report(catalog, domain)
            is_current &= store(catalog, language, domain, is_check=is_check)
    return 0 if is_current or not is_check else 1


def store(catalog: Catalog, language: str, domain: str, *, is_check: bool) -> bool:
    """Whether there was nothing to write."""
    po, mo = paths(language, domain)
    made = {po: in_words(catalog), mo: compiled(catalog)}
    old = [path for path in made if not path.exists() or path.read_bytes() != made[path]]
    if not is_check:
        po.parent.mkdir(parents=True, exist_ok=True)
        for path in old:
            path.write_bytes(made[path])
        return not old
    for path in old:
        print(f"{path.relative_to(ROOT)} is not up to date: run `make messages`.")
    if po in old and po.exists():
        print(*difference(po.read_bytes(), made[po]), sep="\n")
    return not old


def paths(language: str, domain: str) -> tuple[Path, Path]:
    folder = ROOT / "locale" / language / "LC_MESSAGES"
    return folder / f"{domain}.po", folder / f"{domain}.mo"


def is_missing() -> list[str]:
    """Tools that `extract` needs and that are not here: on Debian they are in `gettext`."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def extract(domain: str) -> Catalog:
    """All strings of the sources, by Django's `makemessages`, in a copy of them: it looks only
    below the folder that it runs in, and leaves files there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        DOMAINS[domain](folder)
        (folder / "locale").mkdir()
        command = [sys.executable, "-m", "django", "makemessages", "--locale", "en"]
        command += ["--domain", domain, "--no-wrap", "--add-location", "file", "--verbosity", "0"]
        environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        subprocess.run(command, cwd=folder, env=environment, check=True)
        with (folder / "locale" / "en" / "LC_MESSAGES" / f"{domain}.po").open("rb") as file:
            return read_po(file)


def copy_sources(folder: Path) -> None:
    """Python and templates: ours, and the packages' that bring no Chinese."""
    django.setup()
    installed = {config.name.partition(".")[0] for config in apps.get_app_configs()}
    for app in OURS:
        shutil.copytree(ROOT / app, folder / app, ignore=NO_SOURCES)
    for package in sorted(installed & WITHOUT_CHINESE):
        shutil.copytree(folder_of(package), folder / package, ignore=NO_SOURCES)
    mark_options(folder)


def copy_scripts(folder: Path) -> None:
    """Of the admin and its theme. Django's are ahead of its own Chinese; ours are told their words
    by the server."""
    for package, scripts in SCRIPTS:
        shutil.copytree(folder_of(package) / scripts, folder / package / scripts)


def folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def mark_options(folder: Path) -> None:
    """What a sender's form says of the options of its adapter: adapters know no gettext. Marked at
    the end of their copies, where it is found."""
    # Only here: it needs the settings.
    from messaging.channels.registry import ADAPTERS

    for adapter in ADAPTERS.values():
        words = [each for option in adapter.options for each in (option.label, option.help)]
        with (folder / f"{adapter.__module__.replace('.', '/')}.py").open("a") as file:
            file.writelines(f"\ngettext_noop({each!r})\n" for each in words)


def translated(said: Catalog, language: str, domain: str) -> Catalog:
    """What is said, with the translations that there are of it."""
    known = read(language, domain)
    catalog = Steady(locale=language, fuzzy=False, header_comment=HEADER)
    for message in said:
        if not message.id:
            continue
        old = known.get(message.id, message.context)
        # With another plural, or none, it has to be looked at again.
        is_same = old is not None and old.id == message.id and is_translated(old)
        catalog.add(
            message.id,
            old.string if old is not None and is_same else None,
            locations=sorted({(file, None) for file, _line in message.locations}),  # type: ignore[misc]
            flags=message.flags,
            auto_comments=message.auto_comments,
            user_comments=old.user_comments if old is not None else (),
            context=message.context,
        )
    return catalog


def read(language: str, domain: str) -> Catalog:
    po, _mo = paths(language, domain)
    if not po.exists():
        return Catalog(locale=language)
    with po.open("rb") as file:
        return read_po(file, locale=language)


def is_translated(message: Message) -> bool:
    strings = [message.string] if isinstance(message.string, str) else message.string
    return bool(strings) and all(strings or ()) and not message.fuzzy


def in_words(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_po(file, catalog, width=0, include_lineno=False)
    return file.getvalue()


def compiled(catalog: Catalog) -> bytes:
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def report(catalog: Catalog, domain: str) -> None:
    missing = [message for message in catalog if message.id and not is_translated(message)]
    language = catalog.locale_identifier
    print(f"{language}, {domain}: {len(catalog)} strings, {len(missing)} untranslated.")
    for message in missing:
        source = message.id if isinstance(message.id, str) else message.id[0]
        print(f"  {message.locations[0][0]}: {source!r}")
    for file, count in Counter(message.locations[0][0] for message in missing).most_common():
        print(f"{count:5} in {file}")


def difference(before: bytes, after: bytes) -> list[str]:
    lines = difflib.unified_diff(
        before.decode().splitlines(), after.decode().splitlines(), "committed", "extracted", "", ""
    )
    return list(lines)


DOMAINS = {"django": copy_sources, "djangojs": copy_scripts}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notification_platform.settings")
    raise SystemExit(main(sys.argv[1:]))
