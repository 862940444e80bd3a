"""The entries that something is made from, typed and in memory: what a change is judged against.

A catalog is a value: a change makes another one, and it is kept once its transaction has been
committed. Plain data is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from supervisor.core.config.decode import Draft
from supervisor.core.config.documents import draft_of, in_registry, with_code
from supervisor.core.config.problems import Problem, in_order, render
from supervisor.core.registry.judge import concerned, judge
from supervisor.io import machine, sources
from wippy.core.entry import DATA_KIND, EntryDoc
from wippy.errors import Invalid


@dataclass(frozen=True, slots=True)
class Catalog:
    """The structural entries of one version of the registry.

    Attributes:
        version: Which one.
        drafts: They, by id.
    """

    version: int = -1
    drafts: Mapping[str, Draft] = field(default_factory=dict)

    def with_changes(
        self, version: int, docs: Iterable[EntryDoc], deleted: Iterable[str], *, folder: str | None
    ) -> Catalog:
        """Return the catalog of `version`, in which `docs` are new and `deleted` are gone.

        Args:
            version: The next one.
            docs: Created and updated documents; plain data is passed over.
            deleted: Ids of deleted entries.
            folder: The configuration's, to find modules in; None where code and machine have been
                looked at already (the files are, before they are sent).

        Raises:
            Invalid: An entry is wrong in itself or with others; all that is wrong is said.
        """
        changed = {doc.id: draft_of(doc) for doc in docs if doc.kind != DATA_KIND}
        # What was an entry with a part in the tree may have become plain data.
        gone = {doc.id for doc in docs if doc.kind == DATA_KIND} | set(deleted)
        gone &= self.drafts.keys()
        if not changed and not gone:
            return Catalog(version, self.drafts)
        problems = [p for draft in changed.values() for p in draft.reading.problems]
        _refuse(problems)
        kept = {id_: draft for id_, draft in self.drafts.items() if id_ not in gone}
        drafts = {**kept, **changed}
        _refuse(judge(drafts, gone))
        if folder is not None:
            near = concerned(drafts, changed.keys())
            _refuse([*sources.judge(near, folder), *machine.judge(changed.values())])
        return Catalog(version, drafts)


def read_catalog(version: int, docs: Iterator[EntryDoc]) -> Catalog:
    """Return the catalog of documents that were judged before they were committed."""
    return Catalog(version, {doc.id: draft_of(doc) for doc in docs})


def with_text(doc: EntryDoc, before: EntryDoc | None) -> EntryDoc:
    """Return a document with the text of the source file that it names: what it was `before` where
    it names the same one, else what is in the file now.

    Raises:
        Invalid: The file cannot be read.
    """
    if doc.kind == DATA_KIND:
        return doc
    if before is not None and not doc.folder:
        doc = msgspec.structs.replace(doc, folder=before.folder)
    if before is not None and before.code is not None and doc.code is None:
        doc = msgspec.structs.replace(doc, code=before.code)
    drafts, problems = sources.fill([draft_of(doc)])
    _refuse(problems)
    return with_code(msgspec.structs.replace(doc, code=None), drafts[0])


def _refuse(problems: Iterable[Problem]) -> None:
    found = in_order(in_registry(problem) for problem in problems)
    if found:
        raise Invalid(render(found))
