"""Contents and recipients. Each version is rendered a few times by the platform's own code; a
message then only gets its recipient put in."""

import json
from dataclasses import dataclass
from random import Random
from typing import Any

from messaging.channels.base import Channel
from messaging.channels.content import EmailContent, TemplatedContent, TextContent
from messaging.contents import filled
from notification_platform.demo.cast import Published
from templates_app.sending import ready_version, render_checked

RENDERINGS = 25
# Stands in rendered contents for who gets it, as it stands in JSON.
_NAME, _ADDRESS = "%NAME%", "%ADDRESS%"
NAMES = {
    "en": (
        *("Ann", "Ben", "Cora", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ida", "Jon"),
        *("Kate", "Leo", "Mia", "Noah", "Olga", "Paul", "Rosa", "Sam", "Tina"),
    ),
    "zh-hans": (
        *("王芳", "李伟", "张敏", "刘洋", "陈静", "杨磊", "赵娜", "黄强"),
        *("周杰", "吴霞", "徐丽", "孙浩", "马超", "朱琳", "胡军", "郭雪"),
    ),
}
ITEMS = {
    "en": ("a teapot", "wool socks", "a desk lamp", "garden shears", "a rain coat", "green tea"),
    "zh-hans": ("茶壶", "羊毛袜", "台灯", "园艺剪", "雨衣", "绿茶"),
}
CITIES = {
    "en": ("Bristol", "Denver", "Ghent", "Turin", "Perth", "Oslo"),
    "zh-hans": ("杭州", "成都", "武汉", "厦门", "西安", "南京"),
}
MONTHS = {"en": ("May", "June", "July", "August"), "zh-hans": ("五月", "六月", "七月", "八月")}
# Numbers for use in fiction: 555-0100 to 555-0199 of each area.
AREAS = (201, 202, 206, 212, 213, 214, 303, 305, 312, 313, 404, 415, 503, 512, 602, 617, 702, 713)
# How many customers there are for so many messages.
MESSAGES_PER_CUSTOMER = 12


@dataclass(frozen=True, slots=True)
class Rendered:
    """Contents of one version as JSON, and the names of its variables as JSON."""

    contents: tuple[str, ...]
    names: str


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    address: str


class Contents:
    def __init__(self, *, language: str, messages: int, rng: Random) -> None:
        self.language = language
        self.rng = rng
        self.customers = max(50, messages // MESSAGES_PER_CUSTOMER)
        self._rendered: dict[int, Rendered] = {}
        self._strangers = 0

    def recipient(self, channel: str, *, place: str = "", is_new: bool = False) -> Person:
        """Somebody who gets mail now and then; with `is_new` somebody who never got any."""
        number = self.rng.randrange(self.customers)
        if is_new:
            self._strangers += 1
            number = self.customers + self._strangers
        if channel == Channel.EMAIL:
            english, names = NAMES["en"], NAMES[self.language]
            domain = ("example.com", "example.org", "example.net")[number % 3]
            local = english[number % len(english)].lower()
            return Person(names[number % len(names)], f"{local}.{number}@{domain}")
        if channel == Channel.SMS:
            number %= 100 * len(AREAS)
            return Person("", f"+1{AREAS[number // 100]}55501{number % 100:02}")
        if place:
            return Person("", f"robot:{place}" if channel == Channel.WECHAT else place)
        if channel == Channel.WECHAT:
            return Person("", f"member-{number % 300}")
        return Person("", f"oDEMO{number:023}")

    def content(self, published: Published, to: Person) -> str:
        """As it is stored, in JSON."""
        text = self.rng.choice(self.of(published).contents)
        return text.replace(_NAME, json.dumps(to.name)[1:-1]).replace(_ADDRESS, to.address)

    def of(self, published: Published) -> Rendered:
        pk = published.version.pk
        if pk not in self._rendered:
            self._rendered[pk] = self._render(published)
        return self._rendered[pk]

    def _render(self, published: Published) -> Rendered:
        ready, channel = ready_version(published.version.pk), published.text.channel
        asked = published.version.variables["properties"]
        people = [(_NAME if channel == Channel.EMAIL else "", _ADDRESS)]
        empty: Any = TemplatedContent(people)
        if channel == Channel.EMAIL:
            empty = EmailContent(people, subject="")
        elif channel in (Channel.WECHAT, Channel.CHAT):
            empty = TextContent(people)
        made = []
        for _ in range(RENDERINGS):
            variables = {name: self._value(name) for name in asked}
            if channel == Channel.EMAIL and "name" in asked:
                variables["name"] = _NAME
            rendered, _warnings = render_checked(ready, variables, False, self.language)
            one = empty
            if channel == Channel.SMS:
                # Its segments are counted by the number.
                one = TemplatedContent([("", "+12025550100")])
            stored = filled(one, rendered, ready, channel=channel).as_json()
            made.append(json.dumps({**stored, "to": people}))
        return Rendered(tuple(made), json.dumps(sorted(asked)))

    def _value(self, name: str) -> Any:
        rng, language = self.rng, self.language
        values: dict[str, Any] = {
            "name": rng.choice(NAMES[language]),
            "order": f"A-{rng.randrange(100_000, 999_999)}",
            "ticket": f"T-{rng.randrange(1_000, 9_999)}",
            "amount": f"{rng.randrange(500, 20_000) / 100:.2f}",
            "code": f"{rng.randrange(100_000, 999_999)}",
            "minutes": str(rng.choice((5, 10))),
            "percent": str(rng.randrange(81, 99)),
            "host": f"db-{rng.randrange(1, 9)}",
            "item": rng.choice(ITEMS[language]),
            "city": rng.choice(CITIES[language]),
            "month": rng.choice(MONTHS[language]),
            "day": f"{rng.randrange(1, 13)}-{rng.randrange(1, 29):02}",
        }
        return values[name]
