"""What messages of WeChat Work look like to its API, and what it refuses or cuts off
(developer.work.weixin.qq.com/document/path/90236 for applications, /91770 for robots)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.recipients import ROBOT
from messaging.channels.base import Misfit
from messaging.channels.content import TextContent

PARTY = "party:"
TAG = "tag:"
EVERYBODY = "@all"
MAX_ARTICLES = 8
MAX_URL = 2048
MAX_BUTTON = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """`text` counts bytes of UTF-8 by format; titles and descriptions are counted by `measure`."""

    who: str
    formats: tuple[str, ...]
    cards: tuple[str, ...]
    text: dict[str, int]
    measure: Callable[[str], int]
    unit: str
    title: int = 128
    description: int = 512
    recipients: dict[str, int] = field(default_factory=dict)


def in_bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


OF_APPLICATIONS = Limits(
    who="An application of WeChat Work",
    formats=("text", "markdown", "textcard", "news", "template_card"),
    cards=(
        *("text_notice", "news_notice", "button_interaction"),
        *("vote_interaction", "multiple_interaction"),
    ),
    text={"text": 2048, "markdown": 2048},
    measure=len,
    unit="characters",
    recipients={"members": 1000, "parties": 100, "tags": 100},
)
OF_ROBOTS = Limits(
    who="A group robot of WeChat Work",
    formats=("text", "markdown", "news", "template_card"),
    cards=("text_notice", "news_notice"),
    text={"text": 2048, "markdown": 4096},
    measure=in_bytes,
    unit="bytes",
)


def is_for_robot(content: TextContent) -> bool:
    return any(address.startswith(ROBOT) for _, address in content.to)


def addressed(content: TextContent) -> dict[str, str]:
    """`touser`, `toparty` and `totag`, as far as there are any."""
    found: dict[str, list[str]] = {"touser": [], "toparty": [], "totag": []}
    for _, address in content.recipients():
        name, value = _place_of(address)
        found[name].append(value)
    return {name: "|".join(values) for name, values in found.items() if values}


def _place_of(address: str) -> tuple[str, str]:
    for prefix, name in ((PARTY, "toparty"), (TAG, "totag")):
        if address.startswith(prefix):
            return name, address.removeprefix(prefix)
    return "touser", address


def message_of(content: TextContent, *, is_robot: bool) -> dict[str, Any]:
    """`msgtype` and what belongs to it."""
    details = content.details
    body: dict[str, Any]
    if content.format == "textcard":
        body = {
            "title": content.subject,
            "description": content.text,
            "url": details.get("url", ""),
        } | ({"btntxt": details["button"]} if details.get("button") else {})
    elif content.format == "news":
        body = {"articles": details.get("articles", [])}
    elif content.format == "template_card":
        body = details.get("card", {})
    else:
        body = {"content": content.text}
        if is_robot and content.format == "text":
            named = ("mentioned_list", "mentions"), ("mentioned_mobile_list", "mentioned_mobiles")
            body |= {theirs: details[ours] for theirs, ours in named if details.get(ours)}
    message: dict[str, Any] = {"msgtype": content.format, content.format: body}
    if details.get("safe") and not is_robot:
        message["safe"] = 1
    return message


def misfits(content: TextContent, limits: Limits) -> Iterator[Misfit]:
    if content.format not in limits.formats:
        words = f"{limits.who} sends no {content.format}, only: {', '.join(limits.formats)}."
        yield Misfit("/message_type", "invalid", words)
        return
    yield from _recipients(content, limits)
    if content.format in limits.text:
        most = limits.text[content.format]
        if in_bytes(content.text) > most:
            words = f"{limits.who} takes a {content.format} of {most} bytes of UTF-8"
            yield Misfit("/content", "max_length", f"{words}; it has {in_bytes(content.text)}.")
    elif content.format == "textcard":
        yield from _too_long("/title", content.subject, limits.title, limits)
        yield from _too_long("/content", content.text, limits.description, limits)
        yield from _textcard(content)
    elif content.format == "news":
        yield from _articles(content.details.get("articles") or [], limits)
    else:
        kind = (content.details.get("card") or {}).get("card_type")
        if kind not in limits.cards:
            words = f"{limits.who} knows these card_types: {', '.join(limits.cards)}."
            yield Misfit("/card/card_type", "invalid", words)
    if content.details.get("safe") and content.format != "text":
        words = "WeChat Work keeps texts confidential, and no other messages that are sent here."
        yield Misfit("/safe", "invalid", words)


def _textcard(content: TextContent) -> Iterator[Misfit]:
    url = content.details.get("url", "")
    if not url:
        yield Misfit("/url", "required", "WeChat Work takes no textcard without a url.")
    elif in_bytes(url) > MAX_URL:
        words = f"WeChat Work takes a url of {MAX_URL} bytes."
        yield Misfit("/url", "max_length", words)
    if len(content.details.get("button", "")) > MAX_BUTTON:
        words = f"WeChat Work takes a button of {MAX_BUTTON} characters."
        yield Misfit("/button", "max_length", words)


def _articles(articles: list[dict[str, Any]], limits: Limits) -> Iterator[Misfit]:
    if not 1 <= len(articles) <= MAX_ARTICLES:
        words = f"WeChat Work takes 1 to {MAX_ARTICLES} articles; there are {len(articles)}."
        yield Misfit("/articles", "invalid", words)
    for index, article in enumerate(articles):
        place = f"/articles/{index}"
        title, description = article.get("title", ""), article.get("description", "")
        yield from _too_long(f"{place}/title", title, limits.title, limits)
        yield from _too_long(f"{place}/description", description, limits.description, limits)
        if in_bytes(article.get("url", "")) > MAX_URL:
            words = f"WeChat Work takes a url of {MAX_URL} bytes."
            yield Misfit(f"{place}/url", "max_length", words)


def _too_long(pointer: str, text: str, most: int, limits: Limits) -> Iterator[Misfit]:
    """It would be cut off there."""
    if limits.measure(text) > most:
        words = f"{limits.who} shows {most} {limits.unit} here and cuts off the rest"
        yield Misfit(pointer, "max_length", f"{words}; it has {limits.measure(text)}.")


def _recipients(content: TextContent, limits: Limits) -> Iterator[Misfit]:
    counts = {"members": 0, "parties": 0, "tags": 0}
    names = {"touser": "members", "toparty": "parties", "totag": "tags"}
    for position, address in content.recipients():
        name, value = _place_of(address)
        counts[names[name]] += 1
        if not value or "|" in value:
            # The sign between two of them.
            words = "WeChat Work knows no empty ids and none with a |."
            yield Misfit(f"/{position}", "invalid", words)
    for what, most in limits.recipients.items():
        if counts[what] > most:
            words = f"WeChat Work takes {most} {what} a message; there are {counts[what]}."
            yield Misfit("/to", "max_length", words)
