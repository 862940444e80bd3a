"""All the code that an actor needs, in one value: its own and every library that it reaches.

A process loads it without asking anybody. The libraries are a flat table, each one once, however
many import it: nested in one another, forty that each import the next twice would be 10^12.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import asdict, replace

from supervisor.core.spec import Code, Entry, FunctionEntry, LibraryCode, LibraryEntry
from wippy.core.messages import CodeRef, LibraryRef


def load_order(wanted: Iterable[str], imports_of: Callable[[str], Iterable[str]]) -> list[str]:
    """Return `wanted` and all that they import, each once and after what it imports.

    In a circle, which the configuration refuses, one of them comes too early.
    """
    found: dict[str, None] = {}
    entered: set[str] = set()
    waiting = [*wanted][::-1]
    while waiting:
        id_ = waiting[-1]
        missing = [] if id_ in entered else [*imports_of(id_)]
        entered.add(id_)
        missing = [each for each in missing if each not in entered]
        if missing:
            waiting.extend(reversed(missing))
        else:
            found[waiting.pop()] = None
    return list(found)


def link(code: Code, entries: Mapping[str, Entry]) -> Code:
    """Return `code` with every library that it reaches."""

    def library(id_: str) -> LibraryCode:
        entry = entries[id_]
        assert isinstance(entry, LibraryEntry | FunctionEntry), f"{id_} cannot be imported"
        return as_library(entry.code)

    ids = load_order(code.imports.values(), lambda id_: library(id_).imports.values())
    return replace(code, libraries={id_: library(id_) for id_ in ids})


def as_library(code: Code | LibraryCode) -> LibraryCode:
    """Return code as others import it."""
    if isinstance(code, LibraryCode):
        return code
    return LibraryCode(code.path, code.text, code.module, code.origin, code.imports)


def code_ref(code: Code) -> CodeRef:
    """Return linked code as it is sent to a process."""
    libraries = {id_: LibraryRef(**asdict(each)) for id_, each in code.libraries.items()}
    return CodeRef(**{**asdict(code), "libraries": libraries})
