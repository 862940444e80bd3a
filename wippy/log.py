"""Structured lines on stderr that say who wrote them: time, level, entry, pid, text, fields.

    from wippy import log

    log.info("order taken", order=17)
    # 2025-11-03T10:15:02.114Z info app:worker node/app:worker.3/0 order taken order=17

`WIPPY_LOG_LEVEL` (debug, info, warning, error; info by default) drops what is below it, and
`WIPPY_LOG_FORMAT=json` writes one JSON object a line.
"""

from __future__ import annotations

import datetime
import enum
import json
import os
import sys
from typing import Any

from wippy.runtime.context import find_current


class Level(enum.IntEnum):
    """How much a line matters: error = someone must act, warning = degraded."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


def debug(text: str, **fields: Any) -> None:
    """Write a line for whoever looks into single messages."""
    _write(Level.DEBUG, text, fields)


def info(text: str, **fields: Any) -> None:
    """Write a line about the normal life of things."""
    _write(Level.INFO, text, fields)


def warning(text: str, **fields: Any) -> None:
    """Write a line about something that works less well than it should."""
    _write(Level.WARNING, text, fields)


def error(text: str, **fields: Any) -> None:
    """Write a line about something that somebody must act upon."""
    _write(Level.ERROR, text, fields)


def render_text(facts: dict[str, Any], fields: dict[str, Any]) -> str:
    """Return one line for people: the facts, then `key=value` for each field."""
    shown = [str(value) for value in facts.values() if value]
    return " ".join([*shown, *(f"{key}={_quoted(value)}" for key, value in fields.items())])


def render_json(facts: dict[str, Any], fields: dict[str, Any]) -> str:
    """Return one JSON object; what JSON has no form for is written as its `str()`."""
    return json.dumps({**fields, **facts}, default=str, ensure_ascii=False)


def _write(level: Level, text: str, fields: dict[str, Any]) -> None:
    if level < _lowest_level():
        return
    render = render_json if os.environ.get("WIPPY_LOG_FORMAT") == "json" else render_text
    print(render(_facts(level, text), fields), file=sys.stderr, flush=True)


def _lowest_level() -> Level:
    name = os.environ.get("WIPPY_LOG_LEVEL", "info").upper()
    return Level.__members__.get(name, Level.INFO)


def _facts(level: Level, text: str) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC)
    context = find_current()
    return {
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level.name.lower(),
        "entry": context.service if context else "",
        "pid": str(context.pid) if context else "",
        "text": text,
    }


def _quoted(value: Any) -> str:
    text = str(value)
    return (
        json.dumps(text, ensure_ascii=False)
        if not text or any(c in text for c in ' "=\n\r')
        else text
    )
