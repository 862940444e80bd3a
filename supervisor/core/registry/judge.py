"""What documents say of each other: the rules that hold between all entries of the registry.

Only entries from which something is made take part. Plain data needs no second look: nothing
refers to it, so a hundred thousand of them cost nothing here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from supervisor.core.config import deadlock, references
from supervisor.core.config.decode import Draft
from supervisor.core.config.documents import in_registry
from supervisor.core.config.nodes import path_text
from supervisor.core.config.problems import Problem
from supervisor.core.config.reading import Reference
from supervisor.core.spec import Blueprint, RuntimeSpec

_RUNTIME = RuntimeSpec(node="", state_dir="", run_dir="", log_dir="")


def judge(drafts: Mapping[str, Draft], deleted: Collection[str] = ()) -> list[Problem]:
    """Return what is wrong between entries, each of which is right by itself.

    Args:
        drafts: All entries that something is made from, as they would be.
        deleted: Those that would be deleted: who needs one is named.
    """
    links = [link for draft in drafts.values() for link in draft.reading.references]
    problems = list(_from_under(links, deleted))
    if not problems:
        problems = references.judge(list(drafts.values()), links)
    if not problems:
        entries = {id_: draft.entry for id_, draft in drafts.items() if draft.entry is not None}
        problems = deadlock.judge(Blueprint("registry", _RUNTIME, entries), links)
    return [in_registry(problem) for problem in problems]


def concerned(drafts: Mapping[str, Draft], changed: Collection[str]) -> list[Draft]:
    """Return the drafts whose code is to be looked at: those changed, and what is judged together
    with them: a service and the function that it enters."""
    ids = set(changed)
    for id_, draft in drafts.items():
        process = getattr(draft.entry, "process", None)
        if process in changed:
            ids.add(id_)
        if id_ in changed and process is not None:
            ids.add(process)
    return [draft for id_, draft in drafts.items() if id_ in ids]


def _from_under(links: list[Reference], deleted: Collection[str]) -> Iterator[Problem]:
    for link in links:
        if link.target in deleted:
            message = f"{link.target} cannot be deleted: {link.owner} {link.role} it"
            hint = f"change or delete {link.owner} in the same changeset"
            path = path_text(link.cursor.path)
            yield Problem(place=link.place, path=path, message=message, hint=hint)
