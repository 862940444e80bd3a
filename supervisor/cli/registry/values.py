"""Values on the command line: what `registry set` and `registry find` are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from supervisor.core.config.documents import value_at
from supervisor.core.config.nodes import Node, Scalar
from supervisor.core.config.parse import parse
from supervisor.core.spec import Place
from wippy.core.entry import DATA_KIND
from wippy.errors import Invalid


def assignments(texts: Iterable[str], kind: str = DATA_KIND) -> dict[str, Any]:
    """Return `PATH=VALUE` texts, the values read as YAML, as a file with an entry of `kind` would
    be: `umask=0022` is text there, `port=5433` a number.

    Raises:
        Invalid: One is no such text, or its value no YAML.
    """
    return dict(_assignment(text, kind) for text in texts)


def with_value(data: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return `data` with `value` at a path like `lifecycle.restart`; mappings on the way are made.

    Raises:
        Invalid: What lies on the way is no mapping.
    """
    first, *rest = path.split(".", 1)
    if not first:
        raise Invalid(f"{path!r} is no path; write for instance lifecycle.restart")
    if not rest:
        return {**data, first: value}
    inner = data.get(first, {})
    if not isinstance(inner, dict):
        raise Invalid(f"{first!r} is no mapping, so nothing can be set in it; set all of it")
    return {**data, first: with_value(inner, rest[0], value)}


def without_value(data: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return `data` without what is at a path.

    Raises:
        Invalid: There is nothing; names what there is.
    """
    first, *rest = path.split(".", 1)
    if first not in data or (rest and not isinstance(data[first], dict)):
        known = f"it has {', '.join(data)}" if data else "it has nothing"
        raise Invalid(f"there is no {first!r} to remove; {known}")
    if not rest:
        return {key: value for key, value in data.items() if key != first}
    return {**data, first: without_value(data[first], rest[0])}


def _assignment(text: str, kind: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise Invalid(f"{text!r} is no PATH=VALUE")
    try:
        return path, value_at(kind, tuple(path.split(".")), _node(value))
    except Invalid as error:
        raise Invalid(f"{text!r}: {error}") from error


def _node(text: str) -> Node:
    """Return YAML as a node; nothing is null, as after a colon in a file."""
    if not text.strip():
        return Scalar(Place("", 0), "")
    document = parse(text.encode(errors="surrogateescape"), "value")
    if document.root is None or document.problems:
        raise Invalid("; ".join(problem.message for problem in document.problems))
    return document.root
