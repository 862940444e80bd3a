"""Shapes of security: what a policy says, and as whom a service acts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from supervisor.core.config import nodes
from supervisor.core.config.nodes import Cursor
from supervisor.core.config.reading import Reading, Role
from supervisor.core.config.shapes import Choice, Flag, Link, Text
from supervisor.core.config.tables import Data, DataMap, Field, ListOf, Table
from supervisor.core.spec import Condition, Effect, Operator, Security
from wippy.core.conditions import parse_pattern
from wippy.errors import Invalid

MAX_PATTERNS = 1000
ORDER_OPERATORS = frozenset({Operator.LT, Operator.LTE, Operator.GT, Operator.GTE})
LIST_OPERATORS = frozenset({Operator.IN, Operator.NIN})


@dataclass(frozen=True, slots=True)
class OnePattern:
    """A pattern over names in parts (`wippy.core.pattern`); `*` alone is every name."""

    what: str

    def read(self, reading: Reading, cursor: Cursor) -> str:
        """Return the pattern as it is written."""
        text = Text(self.what).read(reading, cursor)
        try:
            parse_pattern(text)
        except Invalid as error:
            raise reading.bad(cursor, f"{reading.name(cursor)}: {error}") from error
        return text

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return Text(self.what).schema()


@dataclass(frozen=True, slots=True)
class Patterns:
    """One pattern, or a list of them."""

    what: str

    def read(self, reading: Reading, cursor: Cursor) -> tuple[str, ...]:
        """Return the patterns."""
        one = OnePattern(self.what)
        if isinstance(cursor.node, nodes.Sequence):
            shape = ListOf(one, minimum=1, maximum=MAX_PATTERNS, unique=True)
            patterns: tuple[str, ...] = shape.read(reading, cursor)
            return patterns
        return (one.read(reading, cursor),)

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        one = OnePattern(self.what)
        return {"anyOf": [one.schema(), ListOf(one, minimum=1, unique=True).schema()]}


def _check_condition(reading: Reading, cursor: Cursor, values: dict[str, Any]) -> None:
    operator = values.get("operator")
    present = {key: value for key, _, value in cursor.pairs()}
    if operator is None:
        return
    if operator is Operator.EXISTS and not isinstance(values.get("value", True), bool):
        reading.note(present["value"], "exists takes true, false, or no value")
    elif operator is not Operator.EXISTS and "value" not in present:
        message = f"missing key 'value' in {reading.where(cursor.path)}"
        reading.note(cursor, message, f"what {operator} compares with")
    elif operator in LIST_OPERATORS and not isinstance(values.get("value", []), list):
        reading.note(present["value"], f"{operator} takes a list")
    elif operator in ORDER_OPERATORS and not _has_order(values.get("value", 0)):
        reading.note(present["value"], f"{operator} takes a number or a text")
    elif operator is Operator.MATCHES and "value" in values:
        _check_pattern(reading, present["value"], values["value"])


def _has_order(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) or (is_number and not math.isnan(value))


def _check_pattern(reading: Reading, cursor: Cursor, value: Any) -> None:
    try:
        parse_pattern(value)
    except (Invalid, TypeError) as error:
        reading.note(cursor, f"{reading.name(cursor)}: {error}")


CONDITION = Table(
    {
        "field": Field(Text("a path like actor.meta.team"), "what is looked at", required=True),
        "operator": Field(Choice(Operator), "how it is compared", required=True),
        "value": Field(Data(), "what it is compared with"),
    },
    build=Condition,
    check=_check_condition,
)

POLICY_FIELDS = {
    "actions": Field(Patterns("a pattern of actions"), "what is done", required=True),
    "resources": Field(Patterns("a pattern of resources"), "to what", required=True),
    "effect": Field(Choice(Effect), "allow or deny; a deny wins", required=True),
    "conditions": Field(ListOf(CONDITION, maximum=MAX_PATTERNS), "all of them must hold"),
    "groups": Field(ListOf(Text("the name of a group"), unique=True), "groups that it belongs to"),
}


# --- as whom an entry acts -----------------------------------------------------------------------

_NAME = Text("the name of an identity")
ACTOR = Table(
    {
        "id": Field(_NAME, "its name; the entry's own id by default", "actor"),
        "meta": Field(DataMap(), "free data, for conditions"),
    }
)


@dataclass(frozen=True, slots=True)
class Actor:
    """An identity: its name, or `{id, meta}`."""

    @property
    def fields(self) -> Any:
        """The keys of the long form."""
        return ACTOR.fields

    def read(self, reading: Reading, cursor: Cursor) -> dict[str, Any]:
        """Return what is said of it, by name in `Security`."""
        if isinstance(cursor.node, nodes.Mapping):
            said: dict[str, Any] = ACTOR.read(reading, cursor)
            return said
        return {"actor": _NAME.read(reading, cursor)}

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        return {"anyOf": [_NAME.schema(), ACTOR.schema()]}


def _security(actor: dict[str, Any] | None = None, **values: Any) -> Security:
    return Security(**(actor or {}), **values)


SECURITY = Table(
    {
        "actor": Field(Actor(), "its identity: a name, or {id, meta}; its own id by default"),
        "policies": Field(ListOf(Link(Role.POLICY), unique=True), "policies that say what it may"),
        "groups": Field(ListOf(Text("the name of a group"), unique=True), "groups of policies"),
        "strict": Field(Flag(), "what none of them allows is denied", "is_strict"),
    },
    build=_security,
)
