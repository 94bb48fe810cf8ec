"""What stands in `locale/` is complete, and says what the sources say. The pages themselves are
looked at in `test_admin_in_chinese.py`."""

import re
from typing import Any

import pytest
from babel.messages.catalog import Message

from messaging.channels.registry import ADAPTERS, BUILT_IN
from tests import extract_messages
from tests.extract_messages import DOMAINS, LANGUAGES, is_translated

# %(name)s, %s, %d, %%, {name}, {}.
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sd%]|\{\w*\}")
REAL_ADAPTERS = sorted(ADAPTERS.keys() - BUILT_IN)

each_catalog = pytest.mark.parametrize(
    ("language", "domain"), [(language, domain) for language in LANGUAGES for domain in DOMAINS]
)


def messages_of(language: str, domain: str) -> list[Message]:
    return [message for message in extract_messages.read(language, domain) if message.id]


def forms_of(message: Message) -> tuple[list[str], list[str]]:
    """The source and the translation, in each of their plurals."""
    each: tuple[Any, Any] = (message.id, message.string)
    return (list(each[0]), list(each[1])) if message.pluralizable else ([each[0]], [each[1]])


@pytest.mark.skipif(bool(extract_messages.is_missing()), reason="needs gettext")
def test_every_string_of_the_sources_is_there_and_compiled(capsys):
    status = extract_messages.main(["--check"])

    assert status == 0, capsys.readouterr().out


@each_catalog
def test_every_string_is_translated(language, domain):
    left = [message.id for message in messages_of(language, domain) if not is_translated(message)]

    assert not left


@each_catalog
def test_each_language_has_its_plurals(language, domain):
    wanted = extract_messages.read(language, domain).num_plurals

    for message in messages_of(language, domain):
        if message.pluralizable:
            assert len(message.string) == wanted, message.id


@each_catalog
def test_placeholders_are_those_of_the_source(language, domain):
    for message in messages_of(language, domain):
        sources, translations = forms_of(message)
        # The plural: a singular may say "one".
        wanted = sorted(PLACEHOLDER.findall(sources[-1]))
        for text in translations:
            assert sorted(PLACEHOLDER.findall(text)) == wanted, message.id


@each_catalog
def test_blanks_at_the_ends_are_those_of_the_source(language, domain):
    for message in messages_of(language, domain):
        sources, translations = forms_of(message)
        for text in translations:
            assert ends_of(text) == ends_of(sources[-1]), message.id


def ends_of(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


@pytest.mark.parametrize("adapter", REAL_ADAPTERS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_settings_of_each_adapter_are_there(language, adapter):
    known = {message.id for message in messages_of(language, "django")}

    for option in ADAPTERS[adapter].options:
        assert {option.label, option.help} <= known


@each_catalog
def test_chinese_sentences_have_chinese_punctuation_and_blanks_beside_latin_words(language, domain):
    if language != "zh_Hans":
        pytest.skip("is about Chinese")
    character = "[\u4e00-\u9fff]"
    wrong = re.compile(f"{character}[,.;:!?()]|{character}[A-Za-z0-9]|[A-Za-z0-9]{character}")

    for message in messages_of(language, domain):
        for text in forms_of(message)[1]:
            assert not wrong.search(PLACEHOLDER.sub("", text)), text
