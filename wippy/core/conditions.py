"""Conditions of policies: a field of a request, compared with a value. Pure.

A field is a path: `actor.meta.team`, `payload.items.0.price`. What is not there is not equal to
anything, and in no list; all other comparisons with it do not hold. What cannot be compared (a text
with a number) is unclear: then a policy applies if it denies, and does not if it allows.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from wippy.core import pattern
from wippy.core.pattern import Pattern
from wippy.errors import Invalid

Fields = Mapping[str, Any]
"""What conditions look at."""


class Operator(enum.StrEnum):
    """How a condition compares a field with its value."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    GT = "gt"
    LTE = "lte"
    GTE = "gte"
    IN = "in"
    NIN = "nin"
    EXISTS = "exists"
    CONTAINS = "contains"
    MATCHES = "matches"


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One condition of a policy: `field` (a path like `actor.meta.team`) against `value`."""

    field: str
    operator: Operator
    value: Any = None


def parse_pattern(text: str) -> Pattern:
    """Return a pattern of actions, resources, or of a condition; `*` alone is every one.

    Raises:
        Invalid: It is none.
    """
    return pattern.parse(pattern.ANY if text == "*" else text)


class _Missing:
    """There is no such field."""


_MISSING = _Missing()


def holds(condition: Condition, fields: Fields, *, if_unclear: bool) -> bool:
    """Say whether a condition holds; `if_unclear` where that cannot be said."""
    found = _look_up(fields, condition.field)
    operator, value = condition.operator, condition.value
    if operator is Operator.EXISTS:
        return (found is not _MISSING) is (value is not False)
    if found is _MISSING:
        return operator in (Operator.NE, Operator.NIN)
    try:
        return _COMPARE[operator](found, value)
    except (TypeError, Invalid):
        return if_unclear


def _look_up(fields: Any, path: str) -> Any:
    found = fields
    for part in path.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list | tuple) and part.isascii() and part.isdigit():
            if int(part) >= len(found):
                return _MISSING
            found = found[int(part)]
        else:
            return _MISSING
    return found


def _is_equal(found: Any, value: Any) -> bool:
    # 1 == True in Python; in data they are different things.
    return isinstance(found, bool) == isinstance(value, bool) and bool(found == value)


def _is_in(found: Any, values: Any) -> bool:
    if not isinstance(values, list | tuple):
        raise TypeError("in and nin take a list")
    return any(_is_equal(found, value) for value in values)


def _order(found: Any, value: Any) -> int:
    """Return -1, 0 or 1; only numbers and texts have an order, each among themselves."""
    if _class(found) is not _class(value):
        raise TypeError(f"{type(found).__name__} and {type(value).__name__} have no order")
    return int(found > value) - int(found < value)


def _class(value: Any) -> type:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{type(value).__name__} has no order")
    # A NaN is neither less nor more than anything, nor equal to it.
    if isinstance(value, float) and math.isnan(value):
        raise TypeError("NaN has no order")
    return str if isinstance(value, str) else float


def _contains(found: Any, value: Any) -> bool:
    if isinstance(found, str):
        if not isinstance(value, str):
            raise TypeError("a text contains texts")
        return value in found
    if isinstance(found, Mapping):
        return value in found
    if isinstance(found, list | tuple):
        return _is_in(value, found)
    raise TypeError(f"{type(found).__name__} contains nothing")


def _matches(found: Any, value: Any) -> bool:
    if not isinstance(found, str) or not isinstance(value, str) or len(found) > pattern.MAX_LENGTH:
        raise TypeError("matches compares a short text with a pattern")
    return bool(found) and parse_pattern(value).matches(found)


_COMPARE: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: _is_equal,
    Operator.NE: lambda found, value: not _is_equal(found, value),
    Operator.LT: lambda found, value: _order(found, value) < 0,
    Operator.GT: lambda found, value: _order(found, value) > 0,
    Operator.LTE: lambda found, value: _order(found, value) <= 0,
    Operator.GTE: lambda found, value: _order(found, value) >= 0,
    Operator.IN: _is_in,
    Operator.NIN: lambda found, value: not _is_in(found, value),
    Operator.CONTAINS: _contains,
    Operator.MATCHES: _matches,
}
