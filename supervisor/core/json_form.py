"""What programs read: values as JSON, with a schema version, and times as RFC 3339 in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from supervisor.core.facts import Fact, level, sentence

SCHEMA = 1
"""Version of everything that is written as JSON."""


def json_line(value: Any) -> bytes:
    """Return a struct or a mapping as JSON, `schema` first, times as RFC 3339 in UTC."""
    plain = for_json(msgspec.to_builtins(value))
    return msgspec.json.encode({"schema": SCHEMA, **plain})


def log_line(fact: Fact) -> bytes:
    """Return a fact as a line of a log in JSON: as in `events --json`, with its level and, in
    words, its message, as programs that collect logs want them."""
    said = {"level": level(fact), "message": sentence(fact)}
    return json_line({**said, **msgspec.to_builtins(fact)})


def for_json(value: Any) -> Any:
    """Return built-ins with each time (`at_s`) as `at`, RFC 3339; 0, which is none, as null."""
    if isinstance(value, Mapping):
        return dict(_json_item(key, item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return [for_json(item) for item in value]
    return value


def rfc3339(at_s: float) -> str:
    """Return seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(at_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json_item(key: str, value: Any) -> tuple[str, Any]:
    if key == "at_s" and isinstance(value, int | float):
        return "at", rfc3339(value) if value else None
    return key, for_json(value)
