"""What the verb `registry` does: each action a function over the node's registry."""

from __future__ import annotations

import contextlib
import getpass
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.cli.node import connected, find_run_dir, stopped_node
from supervisor.cli.output import columns, put, put_json, say
from supervisor.core.json_form import for_json
from supervisor.core.keeping import ApplyChanges, ApplyVersion, Committed
from supervisor.core.registry.changeset import Change, diff
from supervisor.core.requests import ChangeRegistry
from supervisor.io.node_file import NodeFile, is_node_there, read_node_file
from supervisor.io.state_reader import StateReader
from wippy.core.entry import EntryChange, EntryDoc, decode_doc, fields_of, walk
from wippy.core.pattern import parse
from wippy.errors import Internal, Invalid, NotFound

ANSWER_TIMEOUT_S = 30.0
MAX_VALUE_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """The words and options of one command."""

    words: tuple[str, ...]
    kind: str
    meta: tuple[str, ...]
    comment: str
    limit: int
    is_json: bool
    run_dir: Path | None
    config: Path | None

    def word(self, what: str) -> str:
        """Return the only word; `Invalid` says what it should be."""
        if len(self.words) != 1:
            raise Invalid(f"give {what}")
        return self.words[0]


def perform(action: str, asked: Asked) -> None:
    """Do what is asked; raises `WippyError` for what cannot be done."""
    ACTIONS[action](asked)


# --- reading -------------------------------------------------------------------------------------


def _get(asked: Asked) -> None:
    entry_id = asked.word("the id of an entry")
    with _reader(asked) as reader:
        doc = reader.entry(entry_id)
    if doc is None:
        raise NotFound(f"there is no entry {entry_id}; see wippy-supervisor registry list")
    if asked.is_json:
        put_json({"entry": _data(doc)})
        return
    put(_yaml({"id": doc.id, "kind": doc.kind, **({"meta": doc.meta} if doc.meta else {})}))
    if fields_of(doc):
        put(_yaml(fields_of(doc)))


def _list(asked: Asked) -> None:
    """`find` is the same with a pattern."""
    wanted = parse(asked.words[0]) if asked.words else None
    meta = dict(_assignment(text) for text in asked.meta)
    with _reader(asked) as reader:
        docs = [decode_doc(encoded) for encoded in reader.entries().values()]
    found = [
        doc
        for doc in docs
        if (not asked.kind or doc.kind == asked.kind)
        and (wanted is None or wanted.matches(doc.id))
        and all(doc.meta.get(key) == value for key, value in meta.items())
    ]
    if asked.is_json:
        put_json({"entries": [_data(doc) for doc in found]})
        return
    for line in columns([(doc.id, doc.kind, _inline(doc.meta)) for doc in found]):
        put(line)


def _history(asked: Asked) -> None:
    with _reader(asked) as reader:
        versions = reader.versions(asked.limit)
    if asked.is_json:
        import msgspec

        put_json({"versions": for_json(msgspec.to_builtins(versions))})
        return
    rows = [
        (
            str(version.number),
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.at_s)),
            version.author,
            f"+{version.created} ~{version.updated} -{version.deleted}",
            version.comment,
        )
        for version in versions
    ]
    for line in columns(rows):
        put(line)


def _diff(asked: Asked) -> None:
    with _reader(asked) as reader:
        base = reader.snapshot_at(_number(asked.words[0])) if asked.words else reader.files()
        changes = diff(base, reader.entries()).changes
    if asked.is_json:
        put_json({"changes": [_change_data(change) for change in changes]})
        return
    for change in changes:
        put(f"{change.op} {change.id}")
        for line in _fields_changed(change):
            put(f"  {line}")


def _fields_changed(change: Change) -> Iterator[str]:
    old, new = _leaves(change.old), _leaves(change.new)
    for path in dict.fromkeys((*old, *new)):
        if old.get(path, ...) == new.get(path, ...):
            continue
        before = _inline(old[path]) if path in old else "(nothing)"
        after = _inline(new[path]) if path in new else "(nothing)"
        yield f"{path}: {before} -> {after}"


def _leaves(encoded: bytes | None) -> dict[str, Any]:
    if encoded is None:
        return {}
    doc = decode_doc(encoded)
    leaves = dict(walk({"kind": doc.kind, "meta": doc.meta, **fields_of(doc)}))
    # An empty mapping is a leaf of its own; an empty meta says nothing.
    leaves = {path: value for path, value in leaves.items() if (path, value) != ("meta", {})}
    return {**leaves, **({"code": doc.code.text} if doc.code is not None else {})}


# --- writing -------------------------------------------------------------------------------------


def _set(asked: Asked) -> None:
    if len(asked.words) < 2:
        raise Invalid("give the id of an entry, and what to set: port=5433")
    entry_id, *assignments = asked.words
    with _reader(asked) as reader:
        version, before = reader.registry_version(), reader.entry(entry_id)
    data = dict(before.data) if before is not None else {}
    for text in assignments:
        path, value = _assignment(text)
        data = _with(data, path.split("."), value)
    kind = asked.kind or (before.kind if before is not None else "registry.entry")
    meta = before.meta if before is not None else {}
    doc = EntryDoc(id=entry_id, kind=kind, meta=meta, data=data)
    change = EntryChange("create" if before is None else "update", entry_id, doc)
    request = ApplyChanges(
        changes=(change,), author=_author(), comment=asked.comment, expected_version=version
    )
    _tell(asked, _ask(asked, request))


def _rollback(asked: Asked) -> None:
    number = _number(asked.word("the number of a version; see wippy-supervisor registry history"))
    comment = asked.comment or f"version {number} restored"
    _tell(asked, _ask(asked, ApplyVersion(version=number, author=_author(), comment=comment)))


def _ask(asked: Asked, request: ApplyChanges | ApplyVersion) -> Committed:
    run_dir = find_run_dir(asked.run_dir, asked.config)
    if not is_node_there(run_dir):
        raise NotFound(f"no node runs in {run_dir}; only its keeper can change the registry")
    # Through the root: its socket is the operator's, and the keeper asks who wants a change.
    with connected(asked.run_dir, asked.config) as client:
        answer = client.ask(ChangeRegistry(request), ANSWER_TIMEOUT_S)
    if not isinstance(answer, Committed):
        raise Internal(f"the root answered {type(answer).__name__} to a change of the registry")
    return answer


def _tell(asked: Asked, done: Committed) -> None:
    if asked.is_json:
        put_json({"version": done.version, "changed": done.changed})
    elif done.changed:
        entries = "entry" if done.changed == 1 else "entries"
        say(f"version {done.version}: {done.changed} {entries} changed")
    else:
        say(f"nothing changed; the registry is at version {done.version}")


# --- parts ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _reader(asked: Asked) -> Iterator[StateReader]:
    reader = StateReader(Path(_node(asked).state_dir))
    try:
        yield reader
    finally:
        reader.close()


def _node(asked: Asked) -> NodeFile:
    with contextlib.suppress(NotFound):
        found = read_node_file(find_run_dir(asked.run_dir, asked.config))
        if found is not None:
            return found
    return stopped_node(asked.run_dir, asked.config)


def _author() -> str:
    return f"cli:{getpass.getuser()}"


def _number(text: str) -> int:
    if not text.isdecimal():
        raise Invalid(f"{text!r} is no version; see wippy-supervisor registry history")
    return int(text)


def _assignment(text: str) -> tuple[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Invalid(f"{text!r} is no KEY=VALUE")
    try:
        return key, YAML(typ="safe", pure=True).load(value)
    except YAMLError as error:
        raise Invalid(f"{text!r}: the value is no YAML: {error}") from error


def _with(data: Mapping[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    first, *rest = path
    if not rest:
        return {**data, first: value}
    inner = data.get(first, {})
    if not isinstance(inner, dict):
        raise Invalid(f"{first!r} is no mapping, so nothing can be set in it")
    return {**data, first: _with(inner, rest, value)}


def _data(doc: EntryDoc) -> dict[str, Any]:
    return {"id": doc.id, "kind": doc.kind, "meta": doc.meta, "data": doc.data}


def _change_data(change: Change) -> dict[str, Any]:
    sides = {"old": change.old, "new": change.new}
    shown = {name: None if it is None else _data(decode_doc(it)) for name, it in sides.items()}
    return {"id": change.id, "op": str(change.op), **shown}


def _yaml(value: Any) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    out = StringIO()
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(value, out)
    return out.getvalue().rstrip("\n")


def _inline(value: Any) -> str:
    text = "" if value == {} else repr(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"


ACTIONS: Mapping[str, Callable[[Asked], None]] = {
    "get": _get,
    "list": _list,
    "find": _list,
    "history": _history,
    "diff": _diff,
    "set": _set,
    "rollback": _rollback,
}
