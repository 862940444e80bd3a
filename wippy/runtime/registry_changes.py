"""Changes of the registry by actors: collected, then applied by the keeper, all or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from wippy.core import entry as entries
from wippy.core.entry import DATA_KIND, EntryChange, EntryDoc
from wippy.core.registry import ApplyChanges, ApplyVersion
from wippy.errors import Invalid
from wippy.runtime import guard, keeper_link
from wippy.runtime.context import find_current

APPLY_TIMEOUT_S = 30.0
"""How long a change waits for the keeper unless told otherwise: longer than its restart takes."""


class Changes:
    """Changes of entries that are applied together, or not at all."""

    def __init__(self) -> None:
        self._changes: list[EntryChange] = []

    def create(
        self,
        entry_id: str,
        *,
        data: Mapping[str, Any] | None = None,
        kind: str = DATA_KIND,
        meta: Mapping[str, Any] | None = None,
    ) -> Changes:
        """Make an entry; with `apply`, `AlreadyExists` if there is one.

        Args:
            entry_id: `namespace:name`.
            data: The fields of its kind, as they are written in a file.
            kind: Plain data by default.
            meta: Free data.

        Raises:
            TypeError: Something is no plain data; the message names the place.
            Invalid: The id or the kind is none, or it is too large.
        """
        doc = EntryDoc(id=entry_id, kind=kind, data=_copy(data), meta=_copy(meta))
        return self._add("create", doc)

    def update(
        self,
        entry_id: str,
        *,
        data: Mapping[str, Any] | None = None,
        kind: str | None = None,
        meta: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
    ) -> Changes:
        """Replace data, meta or kind of an entry; what is None stays. With `apply`, `NotFound` if
        there is no such entry, and `Conflict` if another version has written it than
        `expected_version` (`entry.version` of the entry that the change was made from): changes
        of other entries are no conflict. Raises as `create`."""
        given = {"data": data, "kind": kind, "meta": meta}
        doc = EntryDoc(
            id=entry_id,
            kind=DATA_KIND if kind is None else kind,
            data=_copy(data),
            meta=_copy(meta),
        )
        keeps = tuple(name for name, it in given.items() if it is None)
        return self._add("update", doc, keeps, expected_version)

    def delete(self, entry_id: str, *, expected_version: int | None = None) -> Changes:
        """Remove an entry; with `apply`, `NotFound` if there is none, `Invalid`, with who needs
        it, while others do, and `Conflict` as of `update`."""
        change = EntryChange("delete", entry_id, expected_version=expected_version)
        self._changes.append(change)
        return self

    async def apply(
        self,
        *,
        comment: str = "",
        expected_version: int | None = None,
        timeout_s: float = APPLY_TIMEOUT_S,
    ) -> int:
        """Apply the changes as one version; return it. On the disk when this returns; applied at
        most once, whoever dies meanwhile. The same content makes no new version.

        Args:
            comment: Why; part of the version.
            expected_version: The version that the changes are based on (`registry.version()`).
            timeout_s: How long to wait for the keeper, seconds.

        Raises:
            PermissionDenied: A policy denies it, or none allows it (the keeper says so).
            Conflict: The registry is not at `expected_version`, or an entry not at its own; shows
                both sides.
            AlreadyExists, NotFound: As said at `create`, `update` and `delete`.
            Invalid: An entry would be wrong in itself or with others; all that is wrong is said.
            Unavailable: No room on the disk.
            Timeout: No answer in time; it may still happen.
        """
        request = ApplyChanges(
            changes=tuple(self._changes),
            author=_author(),
            credential=_credential(),
            identity=guard.acting(),
            comment=comment,
            expected_version=expected_version,
        )
        return (await keeper_link.link().ask(request, timeout_s)).version

    def _add(
        self,
        op: Literal["create", "update"],
        doc: EntryDoc,
        keeps: tuple[str, ...] = (),
        expected_version: int | None = None,
    ) -> Changes:
        entries.check(doc)
        self._changes.append(EntryChange(op, doc.id, doc, keeps, expected_version))
        return self

    def __len__(self) -> int:
        return len(self._changes)


async def apply_version(
    version: int,
    *,
    comment: str = "",
    expected_version: int | None = None,
    timeout_s: float = APPLY_TIMEOUT_S,
) -> int:
    """Make a new version that has the entries of `version`; return it. Raises as `Changes.apply`,
    and `NotFound` for a version that is not there, or was forgotten."""
    request = ApplyVersion(
        version=version,
        author=_author(),
        credential=_credential(),
        identity=guard.acting(),
        comment=comment or f"version {version} restored",
        expected_version=expected_version,
    )
    return (await keeper_link.link().ask(request, timeout_s)).version


def _copy(data: Mapping[str, Any] | None) -> dict[str, Any]:
    if data is not None and not isinstance(data, Mapping):
        raise TypeError(f"data and meta are dicts, not {type(data).__name__}")
    return {} if data is None else dict(data)


def _credential() -> bytes:
    context = find_current()
    return b"" if context is None else context.credential


def _author() -> str:
    context = find_current()
    if context is None:
        raise Invalid("not inside an actor: only actors change the registry from here")
    return context.service
