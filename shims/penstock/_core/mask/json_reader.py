"""Reads JSON as it arrives, without building values: says where its strings, keys and other leaves are.

In: bytes cut anywhere; one value, or several objects and arrays (NDJSON). Out: leaves with their place in the buffer.
Grammar: RFC 8259, and the NaN and Infinity of Python and JavaScript; `broken` is set where it does not hold.
"""

import re
from dataclasses import dataclass, field

from penstock._core.mask.event_dialects import SIGNED_KEYS, SIGNED_TYPES
from penstock._core.mask.json_string import decoded
from penstock._core.mask.outcome import Unmaskable
from penstock._core.mask.pointer import Named

__all__ = ["DEPTH_LIMIT", "LEAF", "SIGNED", "TOKEN_LIMIT", "JsonReader", "Leaf"]

TOKEN_LIMIT = 1 << 20
"""Bytes of the longest value that is held as one: a string, or what a JSON pointer names."""
DEPTH_LIMIT = 65536
"""Levels of nesting; each takes about 20 bytes. More than any reader of JSON allows that is known to us."""

UNSIGNED_LIMIT = 64
"""Members of one object that are remembered until its type comes: names that come twice would else take memory."""

_STRING_SOURCE = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SCALAR_SOURCE = rb"(?:-?[0-9][0-9.eE+-]*+|true|false|null|NaN|-?Infinity)"
_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(_STRING_SOURCE, re.DOTALL)
_SCALAR = re.compile(_SCALAR_SOURCE)
_WORD = re.compile(rb"[A-Za-z0-9_.+-]*+")
LEAF = re.compile(_STRING_SOURCE + b"|" + _SCALAR_SOURCE, re.DOTALL)
"""Matches one string, number or word of valid JSON."""
_ELEMENT_SOURCE = rb"[ \t\r\n]*+(?:%s|%s)[ \t\r\n]*+," % (_STRING_SOURCE, _SCALAR_SOURCE)
_ELEMENTS = re.compile(rb"(?:%s)*+" % _ELEMENT_SOURCE, re.DOTALL)
_MEMBERS = re.compile(rb"(?:[ \t\r\n]*+%s[ \t\r\n]*+:%s)*+" % (_STRING_SOURCE, _ELEMENT_SOURCE), re.DOTALL)
_SIGNED_MEMBERS = frozenset({b"type", *(key.encode() for key in SIGNED_KEYS)})
SIGNED = frozenset(kind.encode() for kind in SIGNED_TYPES)
"""Types of objects whose text is signed, as they stand in JSON."""
_BOM = b"\xef\xbb\xbf"
_VALUE, _FIRST_VALUE, _KEY, _FIRST_KEY, _COLON, _NEXT = range(6)
_QUOTE, _OBJECT, _ARRAY, _OBJECT_END, _ARRAY_END, _COMMA, _COLON_BYTE = b'"{[}],:'


@dataclass(slots=True)
class Leaf:
    """Holds one string (with its quotes), number or word at [start, end) of the buffer.

    key: the decoded key of a member's value; whole: a JSON pointer names it, and it may be an object or an array.
    path: decoded keys, and indices as digits; only where the reader was asked for it. signed: Anthropic's signed text;
    the type that makes it that may come behind it. edited: set by whoever has put something in its place.
    """

    start: int
    end: int
    is_key: bool = False
    key: bytes = field(default=b"", repr=False)
    whole: bool = False
    path: tuple[bytes, ...] = field(default=(), repr=False)
    signed: bool = False
    edited: bool = False


class JsonReader:
    """Reads one JSON text. named: tells the paths (decoded keys, and indices as digits) that are masked whole."""

    def __init__(self, named: Named | None = None, *, paths: bool = False, lenient: bool = False) -> None:
        self.buffer = bytearray()
        self.read_to = 0
        """How far the buffer is read and every leaf told; drop() forgets it."""
        self.broken = False
        self.has_read = False
        """Whether anything inside of an object or array was JSON."""
        self.is_too_long = False
        """Whether it is broken because a value is longer than TOKEN_LIMIT: else that is refused."""
        self._lenient = lenient
        self._named = named
        self._paths = paths
        self._by_runs = named is None
        self._types: list[bytes] = []  # the member "type" of each open container
        self._unsigned: list[list[Leaf]] = []  # of each open container what its type would make signed
        self._at = 0
        self._state = _VALUE
        self._kinds = bytearray()  # { or [ of each open container
        self._path: list[bytes] = []
        self._pending: list[Leaf] = []  # not told before what follows shows that they are what they seem
        self._whole: tuple[int, int] | None = None  # where what a pointer names begins, and its depth
        self._quote_from = 0
        self._begun = False
        self._has_value = False

    def drop(self) -> None:
        """Forgets what is read."""
        del self.buffer[: self.read_to]
        self._at -= self.read_to
        self._quote_from -= self.read_to
        for leaf in self._pending:
            leaf.start -= self.read_to
            leaf.end -= self.read_to
        if self._whole is not None:
            self._whole = self._whole[0] - self.read_to, self._whole[1]
        self.read_to = 0

    def read(self, *, last: bool = False, tell: bool = True) -> list[Leaf]:
        """Returns the next leaves up to read_to, or up to where `broken` became true. Raises Unmaskable.

        last: nothing follows. tell: if False, leaves need not be told.
        """
        leaves: list[Leaf] = []
        buffer = self.buffer
        if not self._begun:
            if not last and len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                return leaves
            self._begun = True
            self._at = self.read_to = len(_BOM) if buffer.startswith(_BOM) else 0
        while not self.broken:
            if self._by_runs and self._kinds and self._quote_from <= self._at:
                self._run(leaves, tell=tell)
            self._at = _SPACE.match(buffer, self._at).end()  # type: ignore[union-attr] # it matches the empty string
            if self._at == len(buffer) or not self._step(leaves, last=last):
                break
        if not self._kinds:
            self.read_to = self._at  # only blanks are between values, and what is told already
        if last and (self._kinds or self.read_to < len(buffer)):
            self.broken = True
        if len(buffer) - self.read_to > TOKEN_LIMIT and not self.broken:
            if not self._lenient:
                raise Unmaskable("a JSON value is too long to be masked")
            self.broken = self.is_too_long = True
        return leaves

    def _run(self, leaves: list[Leaf], *, tell: bool) -> None:
        """Reads members or elements at once, as long as they are strings or scalars and more follow."""
        state, in_object = self._state, self._kinds[-1] == _OBJECT
        if state not in ((_KEY, _FIRST_KEY) if in_object else (_VALUE, _FIRST_VALUE)):
            return
        buffer, start = self.buffer, self._at
        match = (_MEMBERS if in_object else _ELEMENTS).match(buffer, start)
        assert match is not None
        end = match.end()
        if end == start:
            return
        if tell or any(buffer.find(kind, start, end) >= 0 for kind in SIGNED):
            found = LEAF.finditer(buffer, start, end)
            if in_object:
                for name in found:
                    value = next(found)
                    key = decoded(name[0][1:-1])
                    leaves.append(Leaf(*name.span(), True))
                    path = (*self._path[:-1], key) if self._paths else ()
                    leaf = Leaf(*value.span(), False, key, False, path)
                    leaves.append(leaf)
                    if key in _SIGNED_MEMBERS:
                        self._sign(leaf)
            else:
                for element in found:
                    path = tuple(self._path) if self._paths else ()
                    leaves.append(Leaf(*element.span(), False, b"", False, path))
                    if self._paths:
                        self._next_index()
        self.has_read = True
        self._at = self.read_to = end
        self._state = _KEY if in_object else _VALUE

    def _step(self, leaves: list[Leaf], *, last: bool) -> bool:
        """Reads one token at _at; returns False where it is not complete or not JSON."""
        byte = self.buffer[self._at]
        state = self._state
        if byte == _QUOTE and state != _COLON and state != _NEXT:
            return self._string(leaves, last=last)
        if state == _COLON:
            if byte == _COLON_BYTE:
                self._at += 1
                self._state = _VALUE
                return True
        elif state == _NEXT:
            if byte == _COMMA:
                self._at += 1
                self._state = _KEY if self._kinds[-1] == _OBJECT else _VALUE
                if self._kinds[-1] == _ARRAY and (self._paths or self._named is not None):
                    self._next_index()
                self._tell(leaves)
                return True
            if byte == (_OBJECT_END if self._kinds[-1] == _OBJECT else _ARRAY_END):
                return self._close(leaves)
        elif (state == _FIRST_KEY and byte == _OBJECT_END) or (state == _FIRST_VALUE and byte == _ARRAY_END):
            return self._close(leaves)
        elif state in (_VALUE, _FIRST_VALUE):
            if byte in (_OBJECT, _ARRAY):
                return self._open(leaves, byte)
            return self._scalar(leaves, last=last)
        self.broken = True
        return False

    def _next_index(self) -> None:
        self._path[-1] = b"%d" % (int(self._path[-1]) + 1)

    def _tell(self, leaves: list[Leaf]) -> None:
        if self._whole is None:
            leaves.extend(self._pending)
            self._pending.clear()
            self.read_to = self._at

    def _open(self, leaves: list[Leaf], byte: int) -> bool:
        if len(self._kinds) == DEPTH_LIMIT:
            raise Unmaskable("JSON is nested too deep to be masked")
        if self._whole is None and self._is_named():
            self._whole = self._at, len(self._kinds)
        self._at += 1
        self._kinds.append(byte)
        self._path.append(b"0" if byte == _ARRAY else b"")
        self._types.append(b"")
        self._unsigned.append([])
        self._state = _FIRST_VALUE if byte == _ARRAY else _FIRST_KEY
        self._tell(leaves)
        return True

    def _close(self, leaves: list[Leaf]) -> bool:
        self._at += 1
        self._kinds.pop()
        self._path.pop()
        self._types.pop()
        self._unsigned.pop()
        self._state = _NEXT if self._kinds else _VALUE
        self._has_value = not self._kinds or self._has_value
        if self._whole is not None and self._whole[1] == len(self._kinds):
            self._pending.append(Leaf(self._whole[0], self._at, whole=True))
            self._whole = None
        self._tell(leaves)
        return True

    def _is_named(self) -> bool:
        return self._named is not None and self._named(self._path)

    def _string(self, leaves: list[Leaf], *, last: bool) -> bool:
        end = self._string_end()
        if end < 0:
            return False
        start = self._at
        if self._state in (_KEY, _FIRST_KEY):
            self._at = end
            self._state = _COLON
            self._path[-1] = decoded(bytes(self.buffer[start + 1 : end - 1]))
            if self._whole is None:
                self._pending.append(Leaf(start, end, is_key=True))
            self.has_read = True
            return True
        return self._value(leaves, end, last=last)

    def _string_end(self) -> int:
        """Returns where the string that begins at _at ends, -1 if its end has not come; never reads bytes twice."""
        buffer = self.buffer
        if self._quote_from <= self._at:
            match = _STRING.match(buffer, self._at)
            if match is not None:
                return match.end()
            self._quote_from = self._at + 1
        quote = buffer.find(b'"', self._quote_from)
        while quote >= 0:
            escape = quote
            while buffer[escape - 1] == 0x5C:
                escape -= 1
            if (quote - escape) % 2 == 0:
                return quote + 1
            quote = buffer.find(b'"', quote + 1)
        self._quote_from = len(buffer)
        return -1

    def _scalar(self, leaves: list[Leaf], *, last: bool) -> bool:
        word = _WORD.match(self.buffer, self._at)
        assert word is not None
        if word.end() == len(self.buffer) and not last:
            return False
        match = _SCALAR.match(self.buffer, self._at)
        if match is None or match.end() != word.end():
            self.broken = True
            return False
        return self._value(leaves, match.end(), last=last)

    def _value(self, leaves: list[Leaf], end: int, *, last: bool) -> bool:
        """Takes a string or scalar [_at, end) as a value. Outside of containers it must be all there is."""
        if not self._kinds:
            rest = _SPACE.match(self.buffer, end)
            assert rest is not None
            if rest.end() < len(self.buffer) or self._has_value:
                self.broken = True
            if self.broken or not last:
                return False
        else:
            self.has_read = True
        if self._whole is None:
            key = self._path[-1] if self._kinds and self._kinds[-1] == _OBJECT else b""
            path = tuple(self._path) if self._paths else ()
            leaf = Leaf(self._at, end, False, key, self._is_named(), path)
            self._pending.append(leaf)
            if key in _SIGNED_MEMBERS:
                self._sign(leaf)
        self._at = end
        self._state = _NEXT if self._kinds else _VALUE
        if not self._kinds:
            self._tell(leaves)
        return True

    def _sign(self, leaf: Leaf) -> None:
        """Takes a member that is a type, or text that its object's type may make signed. Raises Unmaskable.

        Members come in any order: of text that was told before its type only an edit can be noticed.
        """
        unsigned = self._unsigned[-1]
        if leaf.key != b"type":
            leaf.signed = self._types[-1] in SIGNED
            if not leaf.signed:
                unsigned[:] = [*unsigned[-UNSIGNED_LIMIT:], leaf]
            return
        kind = self._types[-1] = decoded(bytes(self.buffer[leaf.start + 1 : leaf.end - 1]))
        if kind in SIGNED:
            if any(other.edited for other in unsigned):
                raise Unmaskable("a secret stands in signed text, which cannot be changed")
            for other in unsigned:
                other.signed = True
            unsigned.clear()
