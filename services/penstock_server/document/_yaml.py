"""YAML without surprises: one document of plain mappings, lists and scalars; no anchors, aliases, merges or tags.

Works on the parser's events and nodes, never on constructed objects, so that every complaint has a line number.
"""

from typing import Any

import yaml

from penstock_server.domain.errors import FieldProblem

__all__ = ["MAX_DEPTH", "MAX_DOCUMENT_BYTES", "Rejected", "compose"]

MAX_DOCUMENT_BYTES = 1 << 20
"""Largest document, in bytes of UTF-8; gRPC's own default limit is 4 MiB a message."""

MAX_DEPTH = 32
"""Deepest nesting; a policy needs 7."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Rejected(Exception):
    """Carries the problems of a text that is not even a plain YAML document."""

    def __init__(self, *problems: FieldProblem) -> None:
        super().__init__()
        self.problems = problems


def compose(text: str) -> yaml.Node:
    """Returns the root node. Raises Rejected."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Rejected(FieldProblem("document", "is not valid Unicode")) from None
    if size > MAX_DOCUMENT_BYTES:
        raise Rejected(FieldProblem("document", f"has {size} bytes; at most {MAX_DOCUMENT_BYTES} are allowed"))
    try:
        problems = _surprises(text)
        root = None if problems else yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise Rejected(_problem_of(error)) from None
    if problems:
        raise Rejected(*problems)
    if root is None:
        raise Rejected(FieldProblem("document", "is empty; write {} for a policy that allows nothing"))
    return root


def _surprises(text: str) -> list[FieldProblem]:
    """Returns a problem for everything that makes YAML mean more than it shows. Raises YAMLError."""
    problems = []
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        mark = event.start_mark
        assert mark is not None  # both parsers mark every event
        where = f"line {mark.line + 1}"
        if isinstance(event, yaml.AliasEvent):
            problems.append(FieldProblem(where, f"the alias *{event.anchor} is not allowed; write the value out"))
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            problems.append(FieldProblem(where, f"the anchor &{event.anchor} is not allowed"))
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            problems.append(FieldProblem(where, f"the tag {event.tag} is not allowed"))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return [*problems, FieldProblem(where, f"is nested deeper than {MAX_DEPTH}")]
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return problems


def _problem_of(error: yaml.YAMLError) -> FieldProblem:
    """Returns what the parser says, with its line, without the excerpt."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}" if mark is not None else "document"
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "is not YAML"
    return FieldProblem(where, f"is not plain YAML: {what}")
