"""How many SMS a text is, as Aliyun charges (help.aliyun.com/document_detail/108253.html)."""

# GSM 03.38, as everything but China's mainland counts; those of the extension take two places.
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
MAINLAND = "+86"
# Places of one SMS, and of each part of a longer text.
UNICODE, GSM = (70, 67), (160, 153)


def segments(text: str, number: str) -> int:
    """What `text`, with its signature in 【】 where it has one, is charged for a `number` in E.164:
    so many SMS. At least one."""
    if number.startswith(MAINLAND):
        # Whatever the characters are: a letter counts as much as 汉字.
        return _parts([1] * _units(text), UNICODE)
    if all(character in _GSM or character in _GSM_EXTENSION for character in text):
        return _parts([2 if character in _GSM_EXTENSION else 1 for character in text], GSM)
    return _parts([_units(character) for character in text], UNICODE)


def _units(text: str) -> int:
    """Of UTF-16: an emoji takes two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _parts(places: list[int], room: tuple[int, int]) -> int:
    """A character of two places is never torn apart."""
    whole, part = room
    if sum(places) <= whole:
        return 1
    count, left = 1, part
    for size in places:
        if size > left:
            count, left = count + 1, part
        left -= size
    return count
