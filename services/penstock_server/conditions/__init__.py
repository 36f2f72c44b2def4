"""Conditions of rules: CEL, type-checked when it is written. The only package that knows the CEL library."""

from penstock_server.conditions._cel import MAX_SOURCE_CHARACTERS, CelCondition, ConditionInvalid, compile_condition

__all__ = ["MAX_SOURCE_CHARACTERS", "CelCondition", "ConditionInvalid", "compile_condition"]
