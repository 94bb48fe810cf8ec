"""Brings the translations up to date with the sources: `make messages`.

Extracts what our apps and the installed django-unfold, which brings no Chinese, have to say into
`locale/<language>/LC_MESSAGES/django.po`: what was translated stays, what is no longer said goes.
Compiles `django.mo`, which is committed, so that an installation needs no gettext. Both files hang
on the sources and the translations only: no dates, line numbers or versions of tools are in them.

Lists what has no translation yet. With `--check` it writes nothing and fails where it would.
"""

import argparse
import difflib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import django
import unfold
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

import tests.environment  # noqa: F401 - the settings stand on it

ROOT = Path(__file__).resolve().parent.parent
APPS = (
    *("core", "accounts", "templates_app", "messaging", "reporting"),
    "notification_platform",
)
TOOLS = ("xgettext", "msguniq", "msgmerge", "msgattrib")
LANGUAGES = ("zh_Hans",)
HEADER = "# See docs/translating.md. Brought up to date by `make messages`."
# The editor is bundled: what it says comes from `editor_words`.
NO_SOURCES = shutil.ignore_patterns("editor", "migrations", "static", "__pycache__")


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
    said = extract()
    failed = False
    for language in LANGUAGES:
        po, mo = paths(language)
        catalog = translated(said, language)
        report(catalog)
        for path, content in ((po, in_words(catalog)), (mo, compiled(catalog))):
            if path.exists() and path.read_bytes() == content:
                continue
            failed = True
            if is_check:
                print(f"{path.relative_to(ROOT)} is not up to date: run `make messages`.")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        if is_check and po.exists():
            print(*difference(po.read_bytes(), in_words(catalog)), sep="\n")
    return 1 if is_check and failed else 0


def paths(language: str) -> tuple[Path, Path]:
    folder = ROOT / "locale" / language / "LC_MESSAGES"
    return folder / "django.po", folder / "django.mo"


def is_missing() -> list[str]:
    """Tools that `extract` needs and that are not here: on Debian they are in `gettext`."""
    return [tool for tool in TOOLS if shutil.which(tool) is None]


def extract() -> Catalog:
    """All strings of the sources, by Django's `makemessages`, in a copy of them: it looks only
    below the folder that it runs in, and leaves files there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for app in APPS:
            # One may not be there yet.
            if (ROOT / app).exists():
                shutil.copytree(ROOT / app, folder / app, ignore=NO_SOURCES)
        shutil.copytree(Path(unfold.__file__).parent, folder / "unfold", ignore=NO_SOURCES)
        mark_options(folder)
        (folder / "locale").mkdir()
        command = [sys.executable, "-m", "django", "makemessages", "--locale", "en"]
        command += ["--no-wrap", "--add-location", "file", "--verbosity", "0"]
        environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        subprocess.run(command, cwd=folder, env=environment, check=True)
        made = folder / "locale" / "en" / "LC_MESSAGES" / "django.po"
        with made.open("rb") as file:
            return read_po(file)


def mark_options(folder: Path) -> None:
    """What a sender's form says of the options of its adapter: adapters know no gettext. Marked at
    the end of their copies, where it is found."""
    # Only here: nobody else needs the settings.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notification_platform.settings")
    django.setup()
    from messaging.channels.registry import ADAPTERS

    for adapter in ADAPTERS.values():
        words = [each for option in adapter.options for each in (option.label, option.help)]
        with (folder / f"{adapter.__module__.replace('.', '/')}.py").open("a") as file:
            file.writelines(f"\ngettext_noop({each!r})\n" for each in words)


def translated(said: Catalog, language: str) -> Catalog:
    """What is said, with the translations that there are of it."""
    known = read(language)
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


def read(language: str) -> Catalog:
    po, _mo = paths(language)
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


def report(catalog: Catalog) -> None:
    missing = [message for message in catalog if message.id and not is_translated(message)]
    print(f"{catalog.locale_identifier}: {len(catalog)} strings, {len(missing)} untranslated.")
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


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
