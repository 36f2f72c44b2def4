"""Matches JSON pointers, in which "*" stands for any one token, against paths.

In: pointers of a mask; paths as lists of decoded keys and indices. Source: RFC 6901.
"""

import re
from collections.abc import Callable, Iterable

__all__ = ["Named", "matcher"]

Named = Callable[[list[bytes]], bool]
"""Says whether a path is one to be masked."""

_BAD_ESCAPE = re.compile(r"~(?![01])")


def matcher(pointers: Iterable[str]) -> Named | None:
    """Returns what tells the paths that the pointers name, None without pointers; raises ValueError for a wrong one."""
    wanted = [_tokens(pointer) for pointer in pointers]
    if not wanted:
        return None
    lengths = {len(tokens) for tokens in wanted}

    def named(path: list[bytes]) -> bool:
        if len(path) not in lengths:
            return False
        return any(_agrees(tokens, path) for tokens in wanted)

    return named


def _agrees(tokens: tuple[bytes | None, ...], path: list[bytes]) -> bool:
    return len(tokens) == len(path) and all(
        token is None or token == part for token, part in zip(tokens, path, strict=True)
    )


def _tokens(pointer: str) -> tuple[bytes | None, ...]:
    """Returns the tokens of a pointer, None for "*"; raises ValueError if it is not one."""
    if pointer == "":
        return ()
    if not pointer.startswith("/") or _BAD_ESCAPE.search(pointer):
        raise ValueError(f"{pointer!r} is not a JSON pointer")
    parts = pointer[1:].split("/")
    return tuple(None if part == "*" else part.replace("~1", "/").replace("~0", "~").encode() for part in parts)
