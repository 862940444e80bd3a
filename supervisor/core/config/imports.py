"""What entries import of each other: no circles, and no more than one job can carry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from supervisor.core.config.decode import Draft
from supervisor.core.config.nodes import path_text
from supervisor.core.config.problems import Problem
from supervisor.core.config.reading import Reference, Role
from supervisor.core.linking import load_order
from supervisor.core.spec import Code, LibraryCode

MAX_LIBRARIES = 256
"""Libraries that one entry reaches: what is larger is a package, and wants to be one."""
MAX_INLINE_BYTES = 2**20
"""Inline code of an entry and its libraries together."""
MAX_CODE_BYTES = 4 * 2**20
"""All of its source code, that of files too: it travels in each start of an actor, whose frame may
have 16 MiB."""


def judge(drafts: Sequence[Draft], references: Iterable[Reference]) -> list[Problem]:
    """Return what is wrong with the imports of all entries."""
    imports: dict[str, list[Reference]] = {}
    for reference in references:
        if reference.role is Role.IMPORT:
            imports.setdefault(reference.owner, []).append(reference)
    circles = list(_circles(imports))
    if circles:
        return circles
    by_id = {draft.id: draft for draft in drafts}
    return [p for draft in drafts for p in _too_much(draft, imports, by_id)]


def _circles(imports: Mapping[str, list[Reference]]) -> Iterator[Problem]:
    """Yield each circle that a walk along the imports runs into, once."""
    done: set[str] = set()
    for start in imports:
        path: list[Reference] = []
        ahead = [iter(imports[start] if start not in done else ())]
        here = {start}
        while ahead:
            step = next(ahead[-1], None)
            if step is None:
                ahead.pop()
                gone = path.pop().target if path else start
                here.discard(gone)
                done.add(gone)
            elif step.target in here:
                first = next(n for n, each in enumerate([*path, step]) if each.owner == step.target)
                yield _circle([*path[first:], step])
            elif step.target not in done:
                path.append(step)
                here.add(step.target)
                ahead.append(iter(imports.get(step.target, ())))


def _circle(steps: list[Reference]) -> Problem:
    last = steps[-1]
    message = f"{last.target} imports itself"
    if len(steps) > 1:
        chain = ", ".join(f"{step.owner} imports {step.target} ({step.place})" for step in steps)
        message = f"{message}: {chain}"
    return Problem(
        place=last.place, path=path_text(last.cursor.path), message=message, line=last.line
    )


def _too_much(
    draft: Draft, imports: Mapping[str, list[Reference]], by_id: Mapping[str, Draft]
) -> Iterator[Problem]:
    own = code_of(draft)
    if own is None:
        return

    def targets(id_: str) -> list[str]:
        return [reference.target for reference in imports.get(id_, ())]

    ids = load_order(targets(draft.id), targets)
    if len(ids) > MAX_LIBRARIES:
        message = f"{draft.id} reaches {len(ids)} libraries; at most {MAX_LIBRARIES} are loaded"
        hint = "make a package of them, and import that in Python"
        yield draft.reading.problem(draft.cursor.at("imports"), message, hint)
    reached = [code_of(by_id[id_]) for id_ in ids if id_ in by_id]
    codes = [code for code in (own, *reached) if code is not None]
    at = draft.cursor.at("imports" if ids else "source")
    what = f"{draft.id} and all that it imports" if ids else draft.id
    inline = sum(_size_bytes(code) for code in codes if code.path is None)
    if inline > MAX_INLINE_BYTES:
        message = f"the inline code of {what} has {inline} bytes; at most {MAX_INLINE_BYTES}"
        yield draft.reading.problem(at, message, "put it into files: source: file://...")
        return
    size = sum(_size_bytes(code) for code in codes)
    if size > MAX_CODE_BYTES:
        message = f"the code of {what} has {size} bytes; at most {MAX_CODE_BYTES}"
        hint = "make a package of it, and write module: instead of source:"
        yield draft.reading.problem(at, message, hint)


def _size_bytes(code: Code | LibraryCode) -> int:
    return len((code.text or "").encode())


def code_of(draft: Draft) -> Code | LibraryCode | None:
    """Return the code of an entry; None for kinds that have none, and where it is wrong."""
    return getattr(draft.entry, "code", None)
