"""What stands in place of a masked value: the same for the same, nothing of the value, safe wherever it lands."""

import json
import re
from urllib.parse import quote

from penstock._core.mask.token import Mint

SECRET = b"hidden" + b"-value"
FORM = "«{}:[A-Z2-7]{{10}}»"


def token(kind: str, value: bytes, key: bytes = b"key") -> str:
    """Returns one token."""
    return Mint(key).token(kind, value).decode()


def test_a_token_names_the_kind_and_tells_values_apart() -> None:
    """The same value under one key has one token, in every mint; another value, kind or key has another."""
    assert re.fullmatch(FORM.format("jwt"), token("jwt", SECRET))
    assert token("jwt", SECRET) == token("jwt", SECRET)
    tokens = {token("jwt", SECRET), token("jwt", SECRET + b" "), token("pem", SECRET), token("jwt", SECRET, b"other")}
    assert len(tokens) == 4
    assert len({token("jwt", str(at).encode()) for at in range(2000)}) == 2000


def test_the_same_value_keeps_its_mark_under_another_kind() -> None:
    """Only the name changes: the mark is that of the value."""
    assert token("jwt", SECRET).partition(":")[2] == token("db", SECRET).partition(":")[2]


def test_a_token_cannot_be_made_without_the_key() -> None:
    """It is no plain hash: under another key every mark is another, also of short values."""
    assert all(token("pin", b"%04d" % at) != token("pin", b"%04d" % at, b"other") for at in range(100))


def test_tokens_are_safe_wherever_they_land() -> None:
    """A name with quotes, markup, line ends or the marks themselves cannot break out of what it stands in."""
    for kind in ('a"b', "a\\b", "a\r\nb: c", "a<b>&'", "«a»", "a:b", "\0", "ключ", "a b"):
        made = token(kind, SECRET)
        assert re.fullmatch(FORM.format("[A-Za-z0-9_.@/-]+"), made)
        assert json.loads(f'"{made}"') == made
        assert "%0D" not in quote(made)


def test_each_token_is_counted_by_its_kind() -> None:
    """A mint counts what it made, and nothing of another one."""
    mint = Mint(b"key")
    for kind in ("jwt", "db", "jwt"):
        mint.token(kind, SECRET)
    assert mint.counts == {"jwt": 2, "db": 1}
    assert Mint(b"key").counts == {}


def test_a_mint_shows_neither_key_nor_value() -> None:
    """repr() has no secret."""
    mint = Mint(b"a very secret key")
    made = mint.token("jwt", SECRET).decode()
    assert "secret key" not in repr(mint)
    assert SECRET.decode() not in made + repr(mint)
