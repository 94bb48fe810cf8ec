import pytest

from core.masking import mask_addresses


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("ann@example.com", "a***@example.com"),
        ("a@example.com", "a***@example.com"),
        ("550 5.1.1 <ann.lee+tag@example.com> unknown", "550 5.1.1 <a***@example.com> unknown"),
        ("to ann@example.com, bob@example.org.", "to a***@example.com, b***@example.org."),
        ("RCPT TO:<ann@example.com>", "RCPT TO:<a***@example.com>"),
        ('{"email":"ann@example.com"}', '{"email":"a***@example.com"}'),
        ("to=ann@example.com", "to=a***@example.com"),
        ("(ann@example.com)", "(a***@example.com)"),
        ("ann@mail.example.co.uk", "a***@mail.example.co.uk"),
        ("ann@localhost", "a***@localhost"),
        ("änn@bücher.example", "ä***@bücher.example"),
        ("王小明@公司.中国", "王***@公司.中国"),
        ("o'neil@example.com", "o'n***@example.com"),
    ],
)
def test_only_the_first_letter_and_the_domain_of_an_address_are_left(text, masked):
    assert mask_addresses(text) == masked


@pytest.mark.parametrize(
    "text", ["", "no address here", "450 4.2.0 try again", "@example.com", "ann@", "a @ b", "@"]
)
def test_what_is_no_address_is_left_alone(text):
    assert mask_addresses(text) == text


def test_masking_twice_changes_nothing_more():
    once = mask_addresses("<ann@example.com>")

    assert mask_addresses(once) == once


def test_no_local_part_of_a_provider_answer_is_left():
    words = "ann@example.com ann@example.com;ann@example.com\tann@example.com"

    assert "ann" not in mask_addresses(words)
