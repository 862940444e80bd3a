"""A YAML file rewritten with changed entries, by ruamel.yaml's round trip, which keeps comments and
order; comment lines of what stays are kept where an entry, or a value, goes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString
from ruamel.yaml.tokens import CommentToken

from wippy.errors import Invalid

_ITEM = re.compile(r"^entries:[^\n]*\n(?:[ \t]*(?:#[^\n]*)?\n)*( *)-( +)", re.MULTILINE)
WIDTH = 100_000
"""Columns before ruamel folds a line: never."""


_sorted = msgspec.msgpack.Encoder(order="sorted").encode


class Edit(msgspec.Struct, frozen=True):
    """What is to become of one entry of a file.

    Attributes:
        name: Its name in the namespace of the file.
        old: What the file said when it was loaded (`content_of`); None: it is not there.
        new: What it is to say; None: it is to go.
    """

    name: str
    old: dict[str, Any] | None
    new: dict[str, Any] | None


class _Text:
    """A stream for ruamel: text, not bytes."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, part: str) -> None:
        self.parts.append(part)


def rewrite(text: str, file: str, edits: Sequence[Edit]) -> tuple[str, str]:
    """Return a file as ruamel writes it, unchanged and with `edits`: what differs is the change.

    Raises:
        Invalid: ruamel cannot read it.
    """
    yaml = _yaml_for(text)
    try:
        return _dumped(yaml, yaml.load(text)), _dumped(yaml, _edited(yaml.load(text), edits))
    except YAMLError as error:
        raise Invalid(f"{file} cannot be rewritten: {error}") from error


def write_new(version: str, namespace: str, entries: Mapping[str, dict[str, Any]]) -> str:
    """Return a new file with entries, by name."""
    tree = CommentedMap()
    tree["version"] = DoubleQuotedScalarString(version)
    tree["namespace"] = namespace
    tree["entries"] = [_entry(name, content) for name, content in entries.items()]
    return _dumped(_yaml_for(""), tree)


def are_alike(said: Any, old: Any, new: Any) -> bool:
    """Say whether three values are lists of the same length: then their items are compared."""
    lists = isinstance(said, list) and isinstance(old, list) and isinstance(new, list)
    return lists and len(said) == len(old) == len(new)


def is_same(mine: Any, theirs: Any) -> bool:
    """Say whether two values are written alike: 1, 1.0 and true are three; `...` is like none."""
    return mine is not ... and theirs is not ... and bool(_sorted(mine) == _sorted(theirs))


def _yaml_for(text: str) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    found = _ITEM.search(text)
    offset, gap = (len(found[1]), len(found[2])) if found else (2, 1)
    yaml.indent(mapping=2, sequence=offset + 1 + gap, offset=offset)
    return yaml


def _dumped(yaml: YAML, tree: Any) -> str:
    out = _Text()
    yaml.dump(tree, out)
    return "".join(out.parts)


def _edited(tree: Any, edits: Sequence[Edit]) -> Any:
    entries = tree["entries"]
    for edit in edits:
        at = next((n for n, it in enumerate(entries) if str(it.get("name")) == edit.name), None)
        if at is None:
            assert edit.new is not None
            entries.append(_entry(edit.name, edit.new))
        elif edit.new is None:
            _remove(entries, at)
        else:
            _patch(entries[at], edit.old or {}, edit.new)
    return tree


def _entry(name: str, content: dict[str, Any]) -> CommentedMap:
    return CommentedMap({"name": name, **{key: _written(it) for key, it in content.items()}})


def _patch(node: Any, old: Any, new: Any) -> None:
    """Change a mapping or a list of the tree where `old` and `new` differ."""
    if isinstance(new, list):
        for at, (before, after) in enumerate(zip(old, new, strict=True)):
            _patch_item(node, at, before, after)
        return
    for key in [key for key in old if key not in new and key in node]:
        _remove(node, key)
    for key in new:
        _patch_item(node, key, old.get(key, ...), new[key])


def _patch_item(node: Any, key: Any, old: Any, new: Any) -> None:
    if is_same(old, new):
        return
    is_there = isinstance(node, list) or key in node
    child = node[key] if is_there else None
    both = isinstance(old, dict) and isinstance(new, dict) and isinstance(child, CommentedMap)
    if both or (isinstance(child, CommentedSeq) and are_alike(child, old, new)):
        _patch(child, old, new)
    elif isinstance(child, CommentedSeq) and isinstance(old, list) and isinstance(new, list):
        _patch_list(child, old, new)
    else:
        node[key] = _written(new)


def _patch_list(node: Any, old: list[Any], new: list[Any]) -> None:
    """Change a list of the tree whose length changes: what is at its beginning and at its end in
    both stays, with its comments."""
    least = min(len(old), len(new))
    head = next((n for n in range(least) if not is_same(old[n], new[n])), least)
    tails = range(least - head)
    tail = next((n for n in tails if not is_same(old[-1 - n], new[-1 - n])), least - head)
    for at in reversed(range(head, len(old) - tail)):
        _remove(node, at)
    below = _comments_below(node, head - 1) if head and not tail else ""
    for at, item in enumerate(new[head : len(new) - tail], start=head):
        node.insert(at, _written(item))
    if below and len(node) > head:
        token = _last_token(node, head - 1)
        token.value = token.value.partition("\n")[0] + "\n"
        _append_comments(node, len(node) - 1, below)


def _written(value: Any) -> Any:
    """Return data as ruamel is to write it."""
    if isinstance(value, dict):
        return CommentedMap({key: _written(it) for key, it in value.items()})
    if isinstance(value, list):
        return CommentedSeq([_written(it) for it in value])
    if not isinstance(value, str):
        return value
    # What looks like a variable, and is none, is escaped.
    text = value.replace("${", "$${") if "${env:" in value or "$${" in value else value
    return LiteralScalarString(text) if "\n" in text else text


def _remove(node: Any, key: Any) -> None:
    """Remove an item. Comment lines above it stay, and those below it belong to what follows."""
    comments = _comments_above(node, key) + _comments_below(node, key)
    keys = list(range(len(node))) if isinstance(node, list) else list(node)
    at = keys.index(key)
    del node[key]
    if not comments:
        return
    if at > 0:
        _append_comments(node, keys[at - 1], comments)
    elif keys[1:]:
        first = 0 if isinstance(node, list) else keys[1]
        text = "\n".join(line.strip().removeprefix("#").strip() for line in comments.splitlines())
        node.yaml_set_comment_before_after_key(first, before=text, indent=node.lc.col)


def _comments_above(node: Any, key: Any) -> str:
    """Return the comment lines that ruamel has noted before an item: those after a `}` or `]`."""
    found = node.ca.items.get(key)
    tokens = found[1] if found and len(found) > 1 else None
    lines = (" " * token.start_mark.column + token.value for token in tokens or ())
    text = "".join(line if line.strip() else "\n" for line in lines)
    return text if "#" in text else ""


def _comments_below(node: Any, key: Any) -> str:
    """Return the comment lines that follow an item."""
    token = _last_token(node, key)
    _, newline, below = token.value.partition("\n") if token is not None else ("", "", "")
    return below if newline and "#" in below else ""


def _append_comments(node: Any, key: Any, comments: str) -> None:
    token = _last_token(node, key)
    if token is not None:
        token.value = f"{token.value.rstrip()}\n{comments}"
        return
    holder, last = _last_leaf(node, key)
    token = CommentToken(f"\n{comments}", start_mark=CommentMark(0))
    is_mapping = isinstance(holder, CommentedMap)
    holder.ca.items[last] = [None, None, token, None] if is_mapping else [token, None]
    if isinstance(holder[last], CommentedMap | CommentedSeq):
        holder[last].ca.comment = [token, None]  # ruamel writes that of a `{}` from here


def _last_token(node: Any, key: Any) -> Any:
    """Return ruamel's token of the comments after the last value of an item, if there are any."""
    holder, last = _last_leaf(node, key)
    found = holder.ca.items.get(last)
    if not found:
        return None
    return found[2] if isinstance(holder, CommentedMap) else found[0]


def _last_leaf(node: Any, key: Any) -> tuple[Any, Any]:
    value = node[key]
    while isinstance(value, CommentedMap | CommentedSeq) and value and not value.fa.flow_style():
        node, key = value, (len(value) - 1 if isinstance(value, list) else next(reversed(value)))
        value = node[key]
    return node, key
