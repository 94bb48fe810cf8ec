import pytest

from core.addresses import Address, InvalidAddress, parse_address


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("ann@example.com", "", "ann@example.com"),
        ("  ann@example.com ", "", "ann@example.com"),
        ("<ann@example.com>", "", "ann@example.com"),
        ("Ann Lee <ann@example.com>", "Ann Lee", "ann@example.com"),
        ("Ann Lee<ann@example.com>", "Ann Lee", "ann@example.com"),
        ('"Lee, Ann" <ann@example.com>', "Lee, Ann", "ann@example.com"),
        (r'"Ann \"A\" Lee" <ann@example.com>', 'Ann "A" Lee', "ann@example.com"),
        (r'"a\\b" <ann@example.com>', r"a\b", "ann@example.com"),
        ("王小明 <ann@example.com>", "王小明", "ann@example.com"),
        ("Ann 🎉 <ann@example.com>", "Ann 🎉", "ann@example.com"),
        ("Ann.Lee+tag@Example.COM", "", "Ann.Lee+tag@example.com"),
        ("a!#$%&'*+/=?^_`{|}~-b@example.com", "", "a!#$%&'*+/=?^_`{|}~-b@example.com"),
        ("ann@localhost", "", "ann@localhost"),
        ("ann@bücher.example", "", "ann@xn--bcher-kva.example"),
        ("ann@例え.テスト", "", "ann@xn--r8jz45g.xn--zckzah"),
        ("ann@公司。中国", "", "ann@xn--55qx5d.xn--fiqs8s"),
        (f"{'a' * 64}@example.com", "", f"{'a' * 64}@example.com"),
    ],
)
def test_a_valid_address_is_taken_apart(text, name, address):
    assert parse_address(text) == Address(name, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "ann",
        "@example.com",
        "ann@",
        "ann@example",
        "ann@@example.com",
        "ann@bob@example.com",
        "ann lee@example.com",
        "ann@exam ple.com",
        ".ann@example.com",
        "ann.@example.com",
        "an..n@example.com",
        '"ann"@example.com',
        "ann(comment)@example.com",
        "ann@[127.0.0.1]",
        "änn@example.com",
        "ann@-example.com",
        "ann@example-.com",
        "ann@example..com",
        "ann@.example.com",
        "ann@example.com.",
        "ann@exa_mple.com",
        "ann@example.com, bob@example.com",
        "ann@example.com; bob@example.com",
        "Ann <ann@example.com> <bob@example.com>",
        "Ann <ann@example.com",
        "Ann ann@example.com>",
        "Ann <ann@example.com> x",
        "<>",
        "=?utf-8?q?ann?=@example.com",
        "=?utf-8?b?QW5u?= <ann@example.com>",
        f"{'a' * 65}@example.com",
        f"ann@{'a' * 64}.com",
        f"ann@{'a.' * 126}com",
        f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 10}.com",
        f"{'x' * 500} <ann@example.com>",
        f"ann@{'ü' * 60}.example",
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text):
    with pytest.raises(InvalidAddress) as caught:
        parse_address(text)

    assert caught.value.code == "invalid_address"
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.com\r\nBcc: eve@example.com",
        "ann@example.com\n",
        "\rann@example.com",
        "ann\x00@example.com",
        "A\tnn <ann@example.com>",
        "A\x7fnn <ann@example.com>",
        "A\x85nn <ann@example.com>",
        "A\u2028nn <ann@example.com>",
        "A\u2029nn <ann@example.com>",
        "\u202emoc.elpmaxe@nna <ann@example.com>",
        "A\u2066nn <ann@example.com>",
        "A\u200fnn <ann@example.com>",
        "\ufeffann@example.com",
    ],
)
def test_control_characters_are_refused_as_such(text):
    with pytest.raises(InvalidAddress) as caught:
        parse_address(text)

    assert caught.value.code == "control_characters"


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(InvalidAddress):
        parse_address("Ann \ud83c <ann@example.com>")


def test_an_address_can_be_written_and_parsed_again():
    first = parse_address('"Lee, Ann" <Ann@Bücher.example>')

    assert parse_address(first.address) == Address("", first.address)
