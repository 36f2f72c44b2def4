"""Which variables a checked expression names, from the reference map of cel.expr.CheckedExpr.

Source: cel-spec proto/cel/expr/checked.proto. Only the reference map is described here; the rest is skipped.
"""

import functools
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

__all__ = ["variables_of"]

_FIELD = descriptor_pb2.FieldDescriptorProto


def variables_of(serialized: bytes) -> frozenset[str]:
    """Returns every name that the expression refers to; functions and enum constants are among them.

    serialized: google.protobuf.Any that holds a cel.expr.CheckedExpr.
    """
    packed = any_pb2.Any.FromString(serialized)
    if packed.type_url.rpartition("/")[2] != "cel.expr.CheckedExpr":
        raise ValueError("the CEL library serialises something other than a checked expression")
    checked = _checked_expression().FromString(packed.value)
    return frozenset(reference.name for reference in checked.reference_map.values() if reference.name)


@functools.cache
def _checked_expression() -> Any:
    """Returns the message class of the part of cel.expr.CheckedExpr that is read, from a pool of its own."""
    file = descriptor_pb2.FileDescriptorProto(name="penstock/checked.proto", package="penstock.cel", syntax="proto3")
    reference = file.message_type.add(name="Reference")
    reference.field.add(name="name", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    checked = file.message_type.add(name="CheckedExpr")
    entry = checked.nested_type.add(name="ReferenceMapEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_FIELD.TYPE_INT64, label=_FIELD.LABEL_OPTIONAL)
    entry.field.add(
        name="value",
        number=2,
        type=_FIELD.TYPE_MESSAGE,
        type_name=".penstock.cel.Reference",
        label=_FIELD.LABEL_OPTIONAL,
    )
    checked.field.add(
        name="reference_map",
        number=2,
        type=_FIELD.TYPE_MESSAGE,
        type_name=".penstock.cel.CheckedExpr.ReferenceMapEntry",
        label=_FIELD.LABEL_REPEATED,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("penstock.cel.CheckedExpr"))
