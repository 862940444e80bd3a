"""May this be changed by this one? The keeper's judgement of a changeset, before it is committed.

| to | needs, on the entry |
|---|---|
| create, update, delete it | `registry.create`, `registry.update`, `registry.delete` |
| change a policy, or as whom something acts | `security.grant` besides |

An update is judged by the entry as it is and as it becomes: both must be allowed, so that nobody
writes himself into a condition. And no change may leave nobody but the operator who could take it
back (`check_way_back`), unless an operator forces it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from supervisor.core.config.decode import Draft
from supervisor.core.identity import from_security
from supervisor.core.registry.changeset import Change, Changeset
from supervisor.core.spec import HostEntry, PolicyEntry, ServiceEntry
from wippy.core.entry import EntryDoc, decode_doc
from wippy.core.policy import OPERATOR, POLICY_KIND, Identity, Policy, Request, Ruleset, denied
from wippy.errors import Invalid

GRANT = "security.grant"
ACTING_KINDS = frozenset({"process.service", "process.host"})
"""Kinds that say as whom something acts."""
MAX_SHOWN = 5


class Asker(msgspec.Struct, frozen=True):
    """Who asks for a change, as the root knows it.

    Attributes:
        identity: As whom.
        author: Who the version says has made it; empty leaves what the request says.
        is_operator: It is an operator.
    """

    identity: Identity
    author: str = ""
    is_operator: bool = False


ANYBODY = Asker(OPERATOR, is_operator=True)
"""Where there is nobody to tell apart: the operator."""


class Access:
    """The policies of one version of the registry, and who they bind.

    Args:
        drafts: The structural entries of that version.
        is_strict: The node is strict.
    """

    def __init__(self, drafts: Mapping[str, Draft], *, is_strict: bool) -> None:
        self.is_strict = is_strict
        self._ruleset = Ruleset(_policies(drafts))
        self._drafts = drafts

    def check(self, identity: Identity, changeset: Changeset) -> None:
        """Raise `PermissionDenied` for the first change that `identity` may not make."""
        if identity.is_operator:
            return
        for change in changeset:
            for request in _requests(change, is_strict=self.is_strict):
                decision = self._ruleset.decide(identity, request, is_strict=self.is_strict)
                if not decision.is_allowed:
                    raise denied(decision, request)

    def may(self, identity: Identity, requests: Iterable[Request]) -> bool:
        """Say whether `identity` may do all of it."""
        return all(
            self._ruleset.decide(identity, each, is_strict=self.is_strict).is_allowed
            for each in requests
        )

    def identities(self) -> Iterator[Identity]:
        """Yield everybody who may act: all services, all pools, and who has no identity."""
        yield Identity(id="")
        for draft in self._drafts.values():
            if isinstance(draft.entry, ServiceEntry | HostEntry):
                yield from_security(draft.entry.security, draft.id) or Identity(id=draft.id)


def check_way_back(before: Access, after: Access, changeset: Changeset) -> None:
    """Refuse what would leave nobody but the operator who may change the policies back.

    Raises:
        Invalid: Somebody could change what is changed here, and nobody could afterwards.
    """
    concerned = [change for change in changeset if is_grant(change, is_strict=before.is_strict)]
    if not concerned:
        return
    back = [request for change in concerned for request in _way_back(change)]
    if any(before.may(identity, back) for identity in before.identities()) and not any(
        after.may(identity, back) for identity in after.identities()
    ):
        ids = ", ".join(change.id for change in concerned[:MAX_SHOWN])
        raise Invalid(
            f"after this change of {ids} no actor could change it back; only an operator may do "
            "that, who forces it"
        )


def has_grants(changeset: Changeset, *, is_strict: bool) -> bool:
    """Say whether policies are changed, or as whom something acts."""
    return any(is_grant(change, is_strict=is_strict) for change in changeset)


def is_grant(change: Change, *, is_strict: bool) -> bool:
    """Say whether a change is one of policies, or of as whom something acts."""
    old, new = _doc(change.old), _doc(change.new)
    if POLICY_KIND in {doc.kind for doc in (old, new) if doc is not None}:
        return True
    return new is not None and _acting(new, is_strict) != (old and _acting(old, is_strict))


def _acting(doc: EntryDoc, is_strict: bool) -> Any:
    """Return as whom what an entry makes acts; None where that may nothing, or is nobody."""
    if doc.kind not in ACTING_KINDS:
        return None
    # Where the node is not strict, one without an identity of its own may everything.
    return doc.data.get("security", None if is_strict else {})


def _requests(change: Change, *, is_strict: bool) -> Iterator[Request]:
    for doc in (_doc(change.old), _doc(change.new)):
        if doc is None:
            continue
        yield _request(f"registry.{_VERBS[change.old is None, change.new is None]}", doc)
        if is_grant(change, is_strict=is_strict):
            yield _request(GRANT, doc)


_VERBS = {(True, False): "create", (False, False): "update", (False, True): "delete"}


def _way_back(change: Change) -> Iterator[Request]:
    doc = _doc(change.old) or _doc(change.new)
    assert doc is not None
    yield _request("registry.update", doc)
    yield _request(GRANT, doc)


def _request(action: str, doc: EntryDoc) -> Request:
    return Request(action, doc.id, lambda: {"kind": doc.kind, "meta": doc.meta, "data": doc.data})


def _doc(encoded: bytes | None) -> EntryDoc | None:
    return None if encoded is None else decode_doc(encoded)


def _policies(drafts: Mapping[str, Draft]) -> Iterator[Policy]:
    for draft in drafts.values():
        entry = draft.entry
        if isinstance(entry, PolicyEntry):
            yield Policy(
                id=draft.id,
                actions=entry.actions,
                resources=entry.resources,
                effect=entry.effect,
                conditions=entry.conditions,
                groups=entry.groups,
            )
