"""The reference map of checked expressions."""

import pytest
from cel_expr_python import cel
from google.protobuf import any_pb2

from penstock_server.conditions._reads import variables_of


def test_names_of_variables_are_read_from_the_reference_map() -> None:
    """The longest declared name counts, once."""
    environment = cel.NewEnv(variables={"a.b": cel.Type.DYN, "c": cel.Type.INT})
    names = variables_of(environment.compile("a.b.d == 1 || a.b.e == c").serialize())
    assert {"a.b", "c"} <= names
    assert "a.b.d" not in names


def test_another_serialisation_is_refused() -> None:
    """A library that changed its form must not make conditions look as if they read nothing."""
    with pytest.raises(ValueError, match="other than a checked expression"):
        variables_of(any_pb2.Any(type_url="type.googleapis.com/cel.expr.ParsedExpr").SerializeToString())
