"""Tells from a Content-Type how a body is read.

In: the header's value. Out: one of a few kinds, or why such content cannot be masked. Bodies without a type are text.
"""

from enum import Enum
from functools import lru_cache

__all__ = ["PACKED_PROBLEM", "Kind", "encoding_problem", "is_packed", "kind_of", "may_be_packed", "type_problem"]


class Kind(Enum):
    """Names how a body is read."""

    JSON = "json"
    LINES = "lines"
    EVENTS = "events"
    TEXT = "text"
    FORM = "form"
    BINARY = "binary"
    PACKED = "packed"


_JSON = frozenset({"application/json", "text/json"})
_LINES = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/json-seq",
    }
)
_PACKED = frozenset(
    f"application/{name}"
    for name in [
        "gzip",
        "x-gzip",
        "zip",
        "x-zip",
        "x-zip-compressed",
        "zstd",
        "x-zstd",
        "x-tar",
        "x-gtar",
        "x-bzip",
        "x-bzip2",
        "x-xz",
        "x-lzma",
        "x-lz4",
        "x-compress",
        "x-compressed",
        "x-7z-compressed",
        "vnd.rar",
        "x-rar-compressed",
        "java-archive",
        "x-cpio",
    ]
)
_PACKED_SUFFIXES = ("+zip", "+gzip", "+zstd", "-compressed")
_PACKED_FAMILIES = ("application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.")
_MAGICS = (b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06", b"\x28\xb5\x2f\xfd")
"""With what gzip (RFC 1952), ZIP (APPNOTE 4.3) and Zstandard (RFC 8878) begin."""
PACKED_PROBLEM = "an archive, or content that is compressed, cannot be masked"

_TEXT = frozenset(
    [
        "application/xml",
        "application/javascript",
        "application/x-javascript",
        "application/ecmascript",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/graphql",
        "application/sql",
        "application/x-sh",
        "application/csv",
    ]
)
_CHARSETS = frozenset(
    [
        "utf-8",
        "utf8",
        "us-ascii",
        "ascii",
        "latin1",
        "latin-1",
        "gb18030",
        "gbk",
        "gb2312",
        "big5",
        "shift_jis",
        "euc-jp",
        "euc-kr",
        "koi8-r",
        "koi8-u",
    ]
)
"""Character sets in which ASCII is itself, so that secrets look as they do in UTF-8."""
_CHARSET_FAMILIES = ("iso-8859-", "windows-125")
_OTHER_CHARSETS = frozenset({"utf-16", "utf-16le", "utf-16be", "utf-32", "utf-7", "iso-2022-jp"})
_CODINGS = frozenset({"gzip", "x-gzip", "br", "deflate", "zstd", "compress"})
_MAJOR_TYPES = frozenset({"image", "audio", "video", "font"})
"""What a reason may name. Anything else that a header says may be the secret itself."""


@lru_cache(maxsize=512)
def kind_of(content_type: str) -> tuple[Kind, str]:
    """Returns the kind of a Content-Type, and why its text cannot be decoded, or ""."""
    media, _, parameters = content_type.partition(";")
    media = media.strip().lower()
    kind = _kind(media)
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        charset = value.strip().strip("\"'").lower()
        if name.strip().lower() != "charset" or charset in _CHARSETS or charset.startswith(_CHARSET_FAMILIES):
            continue
        name = f"charset {charset}" if charset in _OTHER_CHARSETS else "a charset that is not known"
        return kind, f"text in {name}, which cannot be masked"
    return kind, ""


def _kind(media: str) -> Kind:
    if media in _JSON or media.endswith("+json"):
        return Kind.JSON
    if media in _LINES:
        return Kind.LINES
    if media == "text/event-stream":
        return Kind.EVENTS
    if media == "application/x-www-form-urlencoded":
        return Kind.FORM
    if media in _PACKED or media.endswith(_PACKED_SUFFIXES) or media.startswith(_PACKED_FAMILIES):
        return Kind.PACKED
    if not media or media.startswith(("text/", "multipart/")) or media.endswith(("+xml", "+yaml")) or media in _TEXT:
        return Kind.TEXT
    return Kind.BINARY


def is_packed(begin: bytes) -> bool:
    """Returns whether a body that begins so is an archive, or compressed, whatever its type says."""
    return begin.startswith(_MAGICS)


def may_be_packed(begin: bytes) -> bool:
    """Returns whether it may turn out to be that."""
    return any(magic.startswith(begin) for magic in _MAGICS)


def encoding_problem(content_encoding: str) -> str:
    """Returns why a Content-Encoding cannot be decoded, or ""."""
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        return ""
    name = f"content-encoding {coding}" if coding in _CODINGS else "a content-encoding that is not known"
    return f"sent with {name}, which cannot be masked"


def type_problem(content_type: str) -> str:
    """Returns why a body that is not text cannot be masked; of its type only what is no upstream's word."""
    major = content_type.strip().partition("/")[0].lower()
    return f"{f'{major} content' if major in _MAJOR_TYPES else 'content of a type that is not text'} cannot be masked"
