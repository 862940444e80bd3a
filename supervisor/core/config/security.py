"""Shapes of security: what a policy says, and as whom a service acts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from supervisor.core.config import nodes
from supervisor.core.config.nodes import Cursor
from supervisor.core.config.reading import Reading, Role
from supervisor.core.config.shapes import Choice, Link, Text
from supervisor.core.config.tables import Data, DataMap, Field, ListOf, Table
from supervisor.core.spec import Condition, Effect, Operator, Security

MAX_PATTERNS = 1000
LIST_OPERATORS = frozenset({Operator.IN, Operator.NIN})


@dataclass(frozen=True, slots=True)
class Patterns:
    """One pattern, or a list of them."""

    what: str

    def read(self, reading: Reading, cursor: Cursor) -> tuple[str, ...]:
        """Return the patterns."""
        if isinstance(cursor.node, nodes.Sequence):
            shape = ListOf(Text(self.what), minimum=1, maximum=MAX_PATTERNS, unique=True)
            patterns: tuple[str, ...] = shape.read(reading, cursor)
            return patterns
        return (Text(self.what).read(reading, cursor),)

    def schema(self) -> dict[str, Any]:
        """Return the shape as JSON Schema."""
        text = Text(self.what).schema()
        return {"anyOf": [text, ListOf(Text(self.what), minimum=1, unique=True).schema()]}


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


SECURITY = Table(
    {
        "actor": Field(Text("the name of an identity"), "its identity; its own id by default"),
        "meta": Field(DataMap(), "free data of the identity"),
        "policies": Field(ListOf(Link(Role.POLICY), unique=True), "policies that say what it may"),
        "groups": Field(ListOf(Text("the name of a group"), unique=True), "groups of policies"),
    },
    build=Security,
)
