"""What checks accept beyond a pattern: sums, lengths, and what only looks like a secret."""

import pytest

from penstock._core.mask.checks import CHECKS, assigned, email, iban, luhn, mixed, phone


@pytest.mark.parametrize(
    "number", [b"4242424242424242", b"4242 4242 4242 4242", b"3782-822463-10005", b"6011000990139424"]
)
def test_card_numbers_with_a_right_sum_are_accepted_whole(number: bytes) -> None:
    """The check digit of ISO/IEC 7812-1 is over the digits alone: blanks and dashes do not count."""
    assert luhn(b"", number) == len(number)


def test_any_wrong_digit_of_a_card_number_is_noticed() -> None:
    """The sum catches every change of one digit."""
    number = b"4242424242424242"
    for place in range(len(number)):
        for digit in b"0123456789":
            changed = number[:place] + bytes([digit]) + number[place + 1 :]
            assert bool(luhn(b"", changed)) is (changed == number)


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (b"DE89370400440532013000", b"DE89370400440532013000"),
        (b"DE89 3704 0044 0532 0130 00", b"DE89 3704 0044 0532 0130 00"),
        (b"GB29NWBK60161331926819", b"GB29NWBK60161331926819"),
        (b"NO9386011117947", b"NO9386011117947"),
        (b"NO93 8601 1117 947 THE", b"NO93 8601 1117 947"),
        (b"AT61 1904 3002 3457 3201 THANKS", b"AT61 1904 3002 3457 3201"),
        (b"DE89 3704 0044 0532 0130 01", b"DE89 3704 0044 0532 0130 01"),
        (b"DE89370400440532013001", b""),
        (b"DE8937040044053201300", b""),
        (b"DE893704004405320130001", b""),
        (b"ZZ89370400440532013000", b""),
        (b"DE89 37040044 0532 0130 01", b""),
    ],
)
def test_account_numbers_are_cut_to_their_countrys_length(text: bytes, accepted: bytes) -> None:
    """A right sum is needed unless the number is written in groups of four; words behind it are left alone."""
    assert text[: iban(b"", text)] == accepted


@pytest.mark.parametrize(("digits", "is_phone"), [(7, False), (8, True), (15, True), (16, False)])
def test_a_phone_number_has_8_to_15_digits(digits: int, is_phone: bool) -> None:
    """E.164 allows 15 digits; the plus, blanks and brackets do not count."""
    number = b"+(" + b"1" * digits + b") "
    assert phone(b"", number) == (len(number) if is_phone else 0)


@pytest.mark.parametrize("text", [b"+195559.26", b"+1234567.89", b"+12345678.5"])
def test_an_amount_is_no_phone_number(text: bytes) -> None:
    """A sum with its cents has as many digits; numbers with more dots, or groups behind one, are none."""
    assert phone(b"", text) == 0
    assert phone(b"", b"+1.202.555.0143") == len(b"+1.202.555.0143")
    assert phone(b"", b"+4930.1234567") == len(b"+4930.1234567")


@pytest.mark.parametrize(
    "text", [b"icon@2x.png", b"icon@2x.PNG", b"git@forge.example.org", b"getty@tty1.service", b"a@b.min.js"]
)
def test_files_units_and_repositories_are_no_addresses(text: bytes) -> None:
    """An ending of a file, or the user of a forge, makes it no person's address."""
    assert email(b"", text) == 0


@pytest.mark.parametrize(
    "text", [b"ada@example.org", b"gitta@example.org", b"png@example.net", b"a.b+c@mail.example.co"]
)
def test_addresses_of_people_are_accepted(text: bytes) -> None:
    """Only the whole user and the last label of the host matter."""
    assert email(b"", text) == len(text)


@pytest.mark.parametrize("text", [b"abcdefgh1", b"aBcDeFgH", b"a-b-c-4", b"sk-aBcdEfgh9"])
def test_what_looks_drawn_at_random_is_mixed(text: bytes) -> None:
    """Digits, or capitals amid small letters."""
    assert mixed(b"", text) == len(text)


@pytest.mark.parametrize(
    "text", [b"telecommunications", b"Internationalization", b"UPPERCASEWORD", b"token-Authentication", b"a/Path"]
)
def test_words_are_not_mixed(text: bytes) -> None:
    """Words, capitalised or joined by dashes or slashes, are not drawn at random."""
    assert mixed(b"", text) == 0


@pytest.mark.parametrize(
    ("before", "value", "is_secret"),
    [
        (b"password=", b"hunter2hunter2", True),
        (b"password=", b"q8Wz2Tt9kLm4Pp7x", True),
        (b"password='", b"correct-horse-battery", True),
        (b'password="', b"CorrectHorse", True),
        (b"password=", b"required", False),
        (b'password="', b"incorrect", False),
        (b"password=", b"settings.storage.access_key", False),
        (b"password=", b"$DATABASE_PASSWORD", False),
        (b"password=", b"%DB_PASSWORD%", False),
        (b"password=", b"********", False),
        (b"password=", b"/run/secrets/db_password", False),
        (b"password=", b"./config/password.txt", False),
        (b"password=", b"~/.pgpass1", False),
        (b"password=", b"/Abc9+/defG77h==", True),
    ],
)
def test_a_value_behind_a_telling_name_is_a_secret_unless_it_names_something(
    before: bytes, value: bytes, is_secret: bool
) -> None:
    """Paths, variables, placeholders, names and plain words are not secret; a passphrase in quotes is."""
    assert assigned(before, value) == (len(value) if is_secret else 0)


def test_the_names_in_the_table_are_those_of_the_functions() -> None:
    """detectors.toml names checks by their function."""
    assert {"luhn", "iban", "phone", "email", "mixed", "assigned"} == CHECKS.keys()
    assert all(check.__name__ == name for name, check in CHECKS.items())


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_no_check_accepts_more_than_there_is(name: str) -> None:
    """A check says how many bytes of the secret are masked: never more than it was given, never less than none."""
    samples = [b"", b"1", b"DE", b"@", b"4242 4242", b"\xff\xfe", b"$", b"/", b"DE89 3704 0044 0532 0130 00 AND SOME"]
    assert all(0 <= CHECKS[name](b"x=", sample) <= len(sample) for sample in samples)
