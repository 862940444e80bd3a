"""Who may change the registry: credentials, claims, grants, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from supervisor.core.identity import IDENTITY, IDENTITY_REVOKED, Standing, as_payload
from supervisor.core.keeping import ApplyChanges, ApplyVersion, ForgetVersions, LoadRegistry
from supervisor.core.registry.access import ANYBODY, Asker
from supervisor.keeper.gate import Gate, Guarded
from supervisor.keeper.lmdb_store import LmdbStore
from supervisor.keeper.store import Stamped
from supervisor.root.credentials import Credentials
from wippy.core.entry import DATA_KIND, EntryChange, EntryDoc
from wippy.core.policy import OPERATOR, Identity, bounded
from wippy.errors import Failure, PermissionDenied

ROOT = b"r" * 16
AGENT = Identity("agent", groups=("agents",), is_strict=True)


class Told:
    """A gate, and a root that answers when it is told to."""

    def __init__(self, *, is_strict: bool = False) -> None:
        self.asked: list[bytes] = []
        self.credentials = Credentials()
        self.gate = Gate(
            ROOT,
            is_strict=is_strict,
            publish=lambda _, payload: self.asked.append(*payload.values()),
        )

    def answer(self) -> bytes | None:
        standing = self.credentials.explain(self.asked.pop())
        return self.gate.told(IDENTITY, as_payload(standing))


def request(credential: bytes, identity: Identity | None = None) -> ApplyChanges:
    return ApplyChanges(changes=(), author="liar", credential=credential, identity=identity)


def test_a_credential_is_asked_of_the_root_once_and_forgotten_when_it_is_revoked() -> None:
    told = Told()
    own = told.credentials.give("app:agent", 1, AGENT)
    assert told.gate.find(request(own)) is None
    assert told.asked == [own]
    assert told.answer() == own
    expected = Asker(AGENT, author="app:agent")
    assert told.gate.answered(request(own)) == told.gate.find(request(own)) == expected
    assert told.asked == []
    assert told.credentials.revoke("app:agent", 2) is None
    assert told.credentials.revoke("app:agent", 1) == own
    assert told.gate.told(IDENTITY_REVOKED, {"credential": own}) is None
    assert told.gate.find(request(own)) is None
    told.answer()
    assert told.gate.answered(request(own)).identity == Identity("")


def test_a_credential_that_was_never_explained_need_not_be_revoked() -> None:
    credentials = Credentials()
    first = credentials.give("app:a", 1, None)
    assert credentials.give("app:a", 2, AGENT) != first
    assert credentials.identity("app:a", 1) is None
    assert credentials.identity("app:a", 2) == AGENT
    assert credentials.revoke("app:a", 2) is None
    assert credentials.explain(first) == Standing(first)


def test_nobody_is_refused_where_the_node_is_strict_and_has_no_identity_elsewhere() -> None:
    strict = Told(is_strict=True)
    with pytest.raises(PermissionDenied, match="shows no credential"):
        strict.gate.find(request(b""))
    assert strict.gate.find(request(b"x")) is None
    strict.answer()
    with pytest.raises(PermissionDenied, match="nobody's"):
        strict.gate.answered(request(b"x"))
    assert Told().gate.find(request(b"")) == Asker(Identity(""))


@pytest.mark.parametrize("kind", [LoadRegistry, ForgetVersions])
def test_files_are_loaded_and_versions_forgotten_for_the_root_alone(kind: Any) -> None:
    def of(credential: bytes) -> Guarded:
        more: dict[str, Any] = {"docs": ()} if kind is LoadRegistry else {"keep": 1}
        made: Guarded = kind(**more, credential=credential)
        return made

    told = Told()
    assert told.gate.find(of(ROOT)) == ANYBODY
    for other in (b"", told.credentials.give("app:a", 1, None)):
        with pytest.raises(PermissionDenied, match="only an operator"):
            told.gate.find(of(other))


def test_made_up_credentials_do_not_fill_the_keeper() -> None:
    told = Told()
    for number in range(1000):
        assert told.gate.find(request(number.to_bytes(16, "big"))) is None
    with pytest.raises(PermissionDenied, match="unknown already"):
        told.gate.find(request(b"one more"))


def test_a_claim_is_bounded_by_what_the_root_knows() -> None:
    told = Told()
    own = told.credentials.give("app:pool#1", 1, AGENT, is_shared=True)
    told.gate.find(request(own))
    told.answer()
    for claim in (OPERATOR, Identity("boss", groups=("admin",)), Identity("x", within=OPERATOR)):
        asker = told.gate.find(request(own, claim))
        assert asker is not None
        assert not asker.is_operator
        assert asker.author == "liar in app:pool#1"
        chain, one = [], asker.identity
        while one is not None:
            chain.append(one)
            one = one.within  # type: ignore[assignment]
        assert chain[-1] == AGENT
    assert bounded(Identity("x", within=AGENT), AGENT) == Identity("x", within=AGENT)
    assert bounded(None, AGENT) == AGENT


# --- what is judged ------------------------------------------------------------------------------


class Registry:
    """A store with some entries, and changes of an actor."""

    def __init__(self, folder: Path, *docs: EntryDoc, is_strict: bool = True) -> None:
        self.store = LmdbStore(folder, history_limit=10, is_strict=is_strict)
        self._count = 0
        assert not isinstance(self.apply(*(EntryChange("create", d.id, d) for d in docs)), Failure)

    def apply(self, *changes: EntryChange, asker: Asker = ANYBODY, **more: Any) -> Any:
        return self.ask(ApplyChanges(changes=changes, is_forced=asker is ANYBODY, **more), asker)

    def ask(self, request: ApplyChanges | ApplyVersion, asker: Asker) -> Any:
        self._count += 1
        one = Stamped(self._count.to_bytes(16, "big"), request, 1.0, asker)
        return self.store.apply([one])[0]


def doc(entry_id: str, kind: str = DATA_KIND, **more: Any) -> EntryDoc:
    return EntryDoc(id=entry_id, kind=kind, **more)


def policy(entry_id: str, actions: Any, resources: str = "*", **more: Any) -> EntryDoc:
    data = {"actions": actions, "resources": resources, "effect": "allow", **more}
    return doc(entry_id, "security.policy", data=data)


OWNED = policy(
    "p:owned",
    "registry.*",
    groups=["agents"],
    conditions=[{"field": "meta.owner", "operator": "eq", "value": "agent"}],
)
BY_AGENT = Asker(AGENT)


def change(op: Any, entry: EntryDoc) -> EntryChange:
    return EntryChange(op, entry.id, None if op == "delete" else entry)


def test_an_update_is_judged_by_the_entry_as_it_is_and_as_it_becomes(tmp_path: Path) -> None:
    mine, yours = doc("a:mine", meta={"owner": "agent"}), doc("a:yours", meta={"owner": "you"})
    registry = Registry(tmp_path, OWNED, mine, yours)
    taken = doc("a:yours", meta={"owner": "agent"})
    given = doc("a:mine", meta={"owner": "you"})
    for bad in (change("update", taken), change("update", given), change("delete", yours)):
        answer = registry.apply(bad, asker=BY_AGENT)
        assert isinstance(answer, Failure)
        assert answer.kind == "permission_denied"
    better = doc("a:mine", meta={"owner": "agent"}, data={"x": 1})
    assert registry.apply(change("update", better), asker=BY_AGENT).changed == 1
    assert registry.apply(change("delete", mine), asker=BY_AGENT).changed == 1


def test_restoring_a_version_is_judged_by_all_that_it_changes(tmp_path: Path) -> None:
    registry = Registry(tmp_path, OWNED, doc("a:x", meta={"owner": "you"}))
    registry.apply(change("delete", doc("a:x")))
    answer = registry.ask(ApplyVersion(version=1), BY_AGENT)
    assert answer.kind == "permission_denied"
    assert "registry.create a:x" in answer.message


def test_who_may_write_an_entry_may_not_give_rights_with_it(tmp_path: Path) -> None:
    writes = policy("p:writes", "registry.*", "a:*", groups=["agents"])
    grants = policy("p:grants", "security.grant", "a:granted", groups=["agents"])
    registry = Registry(tmp_path, writes, grants, is_strict=False)
    for bad in (policy("a:p", "*"), doc("a:h", "process.host")):
        answer = registry.apply(change("create", bad), asker=BY_AGENT)
        assert answer.kind == "permission_denied"
        assert "security.grant" in answer.message
    good = doc("a:granted", "process.host", data={"security": {"groups": ["agents"]}})
    assert registry.apply(change("create", good), asker=BY_AGENT).changed == 1
    assert registry.apply(change("delete", good), asker=BY_AGENT).changed == 1


ADMIN = Asker(Identity("admin", groups=("admin",)))


def test_a_change_that_leaves_nobody_to_take_it_back_is_refused_unless_forced(
    tmp_path: Path,
) -> None:
    everything = policy("p:all", "*", groups=["admin"])
    host = doc("a:host", "process.host", data={"security": {"groups": ["admin"]}})
    registry = Registry(tmp_path, everything, host)
    denier = policy("p:no", "registry.*", effect="deny", groups=["everyone"])
    locks = (change("create", denier), change("delete", everything))
    for lock in locks:
        for more in ({}, {"is_forced": True}):  # an actor's force is none
            request = ApplyChanges(changes=(lock,), **more)  # type: ignore[arg-type]
            answer = registry.ask(request, ADMIN)
            assert answer.kind == "invalid"
            assert "no actor could change it back" in answer.message
        answer = registry.ask(ApplyChanges(changes=(lock,)), ANYBODY)
        assert answer.kind == "invalid"
    request = ApplyChanges(changes=(locks[0],), is_forced=True)
    assert registry.ask(request, ANYBODY).changed == 1
    # Who is locked out stays so; nobody is worse off than before.
    assert registry.ask(ApplyChanges(changes=(locks[1],)), ADMIN).kind == "permission_denied"
