"""How many SMS a text is charged as."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.channels.sms_text import segments

MAINLAND, ABROAD = "+8613912345678", "+447700900123"
GSM = st.text("abcXYZ 0123456789@£$ÄÖñüà€[]{}~\n", max_size=1000)
ANY = st.text(max_size=500)


@pytest.mark.parametrize(
    ("text", "number", "count"),
    [
        ("", MAINLAND, 1),
        ("a" * 70, MAINLAND, 1),
        ("a" * 71, MAINLAND, 2),
        ("字" * 134, MAINLAND, 2),
        ("字" * 135, MAINLAND, 3),
        ("【示例科技】" + "字" * 64, MAINLAND, 1),
        ("【示例科技】" + "字" * 65, MAINLAND, 2),
        ("a" * 160, ABROAD, 1),
        ("a" * 161, ABROAD, 2),
        ("a" * 306, ABROAD, 2),
        ("a" * 307, ABROAD, 3),
        ("€" * 80, ABROAD, 1),
        ("€" * 81, ABROAD, 2),
        # 76 pairs and a place that no pair fits into, twice.
        ("€" * 152, ABROAD, 2),
        ("€" * 153, ABROAD, 3),
        ("字" * 70, ABROAD, 1),
        ("字" * 71, ABROAD, 2),
        ("a" * 100 + "字", ABROAD, 2),
        ("😀" * 35, MAINLAND, 1),
        ("😀" * 36, MAINLAND, 2),
        ("😀" * 67, ABROAD, 3),
        # Backquotes are no part of GSM's alphabet.
        ("`" * 71, ABROAD, 2),
    ],
)
def test_what_is_charged(text, number, count):
    assert segments(text, number) == count


@given(ANY, st.sampled_from([MAINLAND, ABROAD]))
def test_a_longer_text_is_never_cheaper(text, number):
    counts = [segments(text[:end], number) for end in range(len(text) + 1)]

    assert counts == sorted(counts)
    assert counts[0] == 1


@given(GSM)
def test_what_is_in_gsms_alphabet_costs_least_abroad(text):
    places = sum(2 if character in "€[]{}~" else 1 for character in text)

    found = segments(text, ABROAD)

    assert (found == 1) == (places <= 160)
    assert found <= segments(text + "字", ABROAD)
    # At most one place is lost at each border.
    assert found == 1 or -(-places // 153) <= found <= -(-places // 152)


@given(ANY)
def test_on_the_mainland_only_the_length_counts(text):
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2

    assert segments(text, MAINLAND) == (1 if units <= 70 else -(-units // 67))
