"""The JSON Schema of the file format, from the same tables that decode it."""

from __future__ import annotations

from typing import Any

from supervisor.core.config.decode import VERSIONS
from supervisor.core.config.kinds import KINDS
from supervisor.core.config.runtime import RUNTIME
from wippy.core import ids

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return the schema of one configuration file (JSON Schema, draft 2020-12)."""
    return {
        "$schema": DIALECT,
        "title": "wippy-supervisor configuration",
        "type": "object",
        "additionalProperties": False,
        "required": ["version"],
        "dependentRequired": {"entries": ["namespace"]},
        "properties": {
            "version": {"enum": [*VERSIONS, *(float(version) for version in VERSIONS)]},
            "namespace": {"type": "string", "pattern": ids.NAMESPACE.pattern},
            "runtime": RUNTIME.schema(),
            "entries": {"type": "array", "items": _entry()},
        },
    }


def _entry() -> dict[str, Any]:
    """Return the schema of an entry: its kind chooses the rest, for plain messages."""
    return {
        "type": "object",
        "required": ["name", "kind"],
        "properties": {"kind": {"enum": list(KINDS)}},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": table.schema(),
            }
            for kind, table in KINDS.items()
        ],
    }
