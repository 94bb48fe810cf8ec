"""Telephone numbers of SMS, read as people write them and kept in E.164: `+8613800138000`."""

from collections.abc import Sequence

import phonenumbers
from django.utils.translation import gettext as _
from phonenumbers import NumberParseException, PhoneNumberType

from core.addresses import CONTROL

# Nothing that gets a text message.
_REFUSED = {
    PhoneNumberType.FIXED_LINE: "a landline",
    PhoneNumberType.TOLL_FREE: "a toll-free number",
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.UAN: "a company's number",
    PhoneNumberType.PAGER: "a pager",
    PhoneNumberType.VOICEMAIL: "a voice mailbox",
}


class InvalidNumber(ValueError):
    """Says in one sentence what is wrong. `code` is public."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def parse_number(text: str, *, region: str, countries: Sequence[str] | None = None) -> str:
    """E.164. Numbers without a country are those of `region` (ISO 3166, `CN`); with `countries`
    only theirs are taken. Raises `InvalidNumber`: `invalid_number`, `country_not_allowed`."""
    if len(text) > 40 or CONTROL.search(text):
        raise InvalidNumber("invalid_number", _("It is no telephone number."))
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        raise InvalidNumber(
            "invalid_number",
            _(
                "It is no telephone number. Write +8613800138000, or without a country one of "
                "%(region)s."
            )
            % {"region": region},
        ) from None
    country = phonenumbers.region_code_for_number(number)
    if number.extension or country is None or not phonenumbers.is_valid_number(number):
        raise InvalidNumber("invalid_number", _("No telephone has this number."))
    if kind := _REFUSED.get(phonenumbers.number_type(number)):
        raise InvalidNumber("invalid_number", f"It is {kind}, which gets no SMS.")
    if countries is not None and country not in countries:
        raise InvalidNumber(
            "country_not_allowed",
            f"It is a number of {country}; this application sends to {', '.join(countries)}.",
        )
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def is_region(text: str) -> bool:
    return text in phonenumbers.SUPPORTED_REGIONS
