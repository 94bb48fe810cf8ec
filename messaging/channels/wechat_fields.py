"""What WeChat takes in the typed fields of its templates; else it answers 47003
(developers.weixin.qq.com, subscribe notices, "参数值内容限制"). A field is typed by its name:
`thing1`, `phone_number2`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from messaging.channels.base import Misfit

_HAN = r"[\u3400-\u4dbf\u4e00-\u9fff\u3007\uf900-\ufaff]"
_DATE = (
    r"(\d{4}年\d{1,2}月(\d{1,2}日)?|\d{1,2}月\d{1,2}日"
    r"|\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2})"
)
_TIME = r"([01]?\d|2[0-4]):[0-5]\d(:[0-5]\d)?"
_WITH_TIME = rf"{_DATE}( ?{_TIME})?"
_WITH_DATE = rf"({_DATE} ?)?{_TIME}"
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FIELD = re.compile(r"([a-z_]+?)\d+")


@dataclass(frozen=True, slots=True)
class Rule:
    """Characters, and the form where there is one. `words` name both."""

    most: int
    words: str
    form: str = ".*"

    def fits(self, value: str) -> bool:
        return len(value) <= self.most and re.fullmatch(self.form, value) is not None


RULES: dict[str, Rule] = {
    "thing": Rule(20, "at most 20 characters"),
    "number": Rule(32, "at most 32 digits, with a point or without", r"[+-]?\d+(\.\d+)?"),
    "letter": Rule(32, "at most 32 letters", r"[A-Za-z]+"),
    "symbol": Rule(5, "at most 5 symbols", rf"((?!{_HAN})[\W_])+"),
    "character_string": Rule(
        32, "at most 32 digits, letters and symbols, nothing Chinese", r"[ -~]+"
    ),
    "time": Rule(
        64,
        "a time, as 15:01 or 2019年10月1日 15:01",
        rf"{_WITH_DATE}( ?~ ?{_WITH_DATE})?",
    ),
    "date": Rule(
        64, "a date, as 2019年10月1日 or 2019-10-01 15:01", rf"{_WITH_TIME}( ?~ ?{_WITH_TIME})?"
    ),
    "amount": Rule(
        20,
        "a currency sign and at most 10 digits, with a point or without, and 元 at the end",
        r"[^\w\s]?\d{1,10}(\.\d+)?元?",
    ),
    "phone_number": Rule(17, "at most 17 digits and signs, as +86-0766-66888866", r"[-\d+() *#]+"),
    "car_number": Rule(
        8,
        "at most 8 characters, letters and digits between a Chinese first and last one",
        rf"({_HAN}|[A-Za-z0-9])[A-Za-z0-9]*({_HAN}|[A-Za-z0-9])?",
    ),
    "name": Rule(
        20,
        "10 characters with Chinese ones among them, or 20 letters and signs",
        rf"(?!.*\d)(?=.{{1,10}}$|(?!.*{_HAN})).+",
    ),
    "phrase": Rule(5, "at most 5 Chinese characters", rf"{_HAN}+"),
    "const": Rule(20, "at most 20 characters, of those that the template knows"),
}


def misfits(parameters: Mapping[str, str]) -> Iterator[Misfit]:
    """Of fields without a type, as `first` and `keyword1` of older templates, nothing is known."""
    for name, value in parameters.items():
        typed = _FIELD.fullmatch(name)
        rule = RULES.get(typed.group(1)) if typed else None
        if rule is None:
            continue
        if not value or _UNPRINTABLE.search(value):
            words = f"WeChat takes no empty {name} and none with line breaks."
            yield Misfit(f"/variables/{name}", "invalid", words)
        elif not rule.fits(value):
            words = f"WeChat takes in {name}: {rule.words}."
            code = "max_length" if len(value) > rule.most else "invalid"
            yield Misfit(f"/variables/{name}", code, words)
