"""How a Content-Type and a Content-Encoding are read."""

import pytest

from penstock._core.mask.content import Kind, encoding_problem, kind_of, type_problem


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", Kind.JSON),
        ("Application/JSON ; Charset=UTF-8", Kind.JSON),
        ("text/json", Kind.JSON),
        ("application/problem+json", Kind.JSON),
        ("application/vnd.api+json; version=2; charset=utf-8", Kind.JSON),
        ("application/x-ndjson", Kind.LINES),
        ("application/jsonl", Kind.LINES),
        ("text/event-stream", Kind.EVENTS),
        ("text/event-stream;charset=utf-8", Kind.EVENTS),
        ("application/x-www-form-urlencoded", Kind.FORM),
        ("", Kind.TEXT),
        (" ; charset=utf-8", Kind.TEXT),
        ("text/html", Kind.TEXT),
        ("text/plain; charset=us-ascii", Kind.TEXT),
        ("multipart/form-data; boundary=x", Kind.TEXT),
        ("application/xml", Kind.TEXT),
        ("image/svg+xml", Kind.TEXT),
        ("application/javascript", Kind.TEXT),
        ("application/json-seq", Kind.LINES),
        ("application/gzip", Kind.PACKED),
        ("Application/ZIP; x=y", Kind.PACKED),
        ("application/x-tar", Kind.PACKED),
        ("application/epub+zip", Kind.PACKED),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Kind.PACKED),
        ("application/octet-stream", Kind.BINARY),
        ("image/png", Kind.BINARY),
        ("application/json, text/html", Kind.BINARY),
        ("nonsense", Kind.BINARY),
    ],
)
def test_the_type_says_how_a_body_is_read(content_type: str, kind: Kind) -> None:
    """Case, blanks and parameters do not matter; what has no type is text; what is not understood is binary."""
    assert kind_of(content_type) == (kind, "")


@pytest.mark.parametrize(
    "charset",
    ["utf-16", "UTF-16LE", '"utf-16"', "'utf-16'", "utf-32", "utf-7", "ibm037", "iso-2022-jp", "hz-gb-2312", "", "x"],
)
def test_a_charset_in_which_ascii_is_not_itself_is_a_problem(charset: str) -> None:
    """A secret would look different in it; what is unknown counts as such."""
    kind, problem = kind_of(f"text/plain; charset={charset}")
    assert kind is Kind.TEXT
    assert "which cannot be masked" in problem


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain; charset=utf-8; charset=utf-16",
        "text/plain; charset=utf-16; charset=utf-8",
        'text/plain; x="; charset=utf-8"; charset=utf-16',
        "text/plain;;CHARSET = utf-16",
        "text/plain;\tcharset\t=\tutf-16",
    ],
)
def test_any_charset_of_several_is_enough(content_type: str) -> None:
    """A second charset, quotes or blanks do not hide one that cannot be read."""
    assert kind_of(content_type)[1]


@pytest.mark.parametrize("charset", ["utf-8", "utf8", "ascii", "ISO-8859-1", "iso-8859-15", "windows-1252", "gb18030"])
def test_charsets_that_contain_ascii_pass(charset: str) -> None:
    """They are read as they are."""
    assert kind_of(f"text/plain; charset={charset}") == (Kind.TEXT, "")


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "br", "zstd", "deflate", "identity, gzip", "gzip, identity", "x"])
def test_content_codings_are_a_problem(coding: str) -> None:
    """What is compressed is not looked into."""
    assert "content-encoding" in encoding_problem(coding)


@pytest.mark.parametrize("coding", ["", " ", "identity", " Identity "])
def test_identity_is_no_coding(coding: str) -> None:
    """It may be said in any case."""
    assert encoding_problem(coding) == ""


def test_reasons_hold_no_raw_header() -> None:
    """What an upstream writes into a header comes into a reason short, printable and on one line."""
    nasty = "x\r\nset-cookie: a\x1b[31m" + "é" * 100
    for reason in (type_problem(nasty), encoding_problem(nasty), kind_of(f"text/plain; charset={nasty}")[1]):
        assert reason.isascii()
        assert reason.isprintable()
        assert len(reason) < 150


def test_reasons_name_only_what_is_known() -> None:
    """A header may be the secret itself, and a reason goes into logs: of it only known names are shown."""
    secret = "zQ8vT2kW5nR7xY"
    for reason in (
        type_problem(secret),
        type_problem(f"image/{secret}; {secret}"),
        encoding_problem(secret),
        encoding_problem(f"gzip, {secret}"),
        kind_of(f"text/plain; charset={secret}")[1],
        kind_of(f"text/{secret}; charset=utf-16-{secret}")[1],
    ):
        assert reason
        assert secret.lower() not in reason.lower()
    assert encoding_problem(" GZIP ") == "sent with content-encoding gzip, which cannot be masked"
    assert kind_of("text/plain; charset=UTF-16")[1] == "text in charset utf-16, which cannot be masked"
    assert type_problem("image/png") == "image content cannot be masked"
    assert type_problem("application/octet-stream") == "content of a type that is not text cannot be masked"
