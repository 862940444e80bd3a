"""As whom the children of the tree act. Pure.

A process never says who it is: the root knows what it has made, and gives each one a *credential*,
which the keeper has the root explain (`Standing`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from supervisor.core.spec import ChildSpec, Dedicated, PoolActor, PoolWorker, Security
from wippy.core.policy import Identity

IDENTITY_WANTED = "identity.wanted"
"""Topic by which the keeper asks the root whose a credential is: `{"credential": bytes}`."""
IDENTITY = "identity"
"""Topic of the root's answer: a `Standing`, with its credential."""
IDENTITY_REVOKED = "identity.revoked"
"""Topic by which the root tells that a credential it has explained is nobody's any more."""


class Standing(msgspec.Struct, frozen=True):
    """Whose a credential is.

    Attributes:
        credential: It.
        is_known: Whether it is somebody's.
        slot: The child that it was made for.
        is_shared: Many actors live there (a worker of a pool).
        identity: As whom they act; None is the default identity.
    """

    credential: bytes
    is_known: bool = False
    slot: str = ""
    is_shared: bool = False
    identity: Identity | None = None


def identity_of(spec: ChildSpec) -> Identity | None:
    """Return as whom a child acts; None is the default identity, which has no policies."""
    match spec.launch:
        case Dedicated(spawner=spawner) if spawner is not None:
            return spawner.identity
        case Dedicated(security=security) | PoolActor(security=security):
            return from_security(security, spec.id)
        case PoolWorker(host=host, security=security):
            return from_security(security, host)
        case _:
            return None


def from_security(security: Security | None, entry_id: str) -> Identity | None:
    """Return what `security:` of an entry says."""
    if security is None:
        return None
    return Identity(
        id=security.actor or entry_id,
        meta=security.meta,
        policies=security.policies,
        groups=security.groups,
        is_strict=security.is_strict,
    )


def as_payload(standing: Standing) -> dict[str, Any]:
    """Return a standing as the payload of a frame."""
    payload: dict[str, Any] = msgspec.to_builtins(standing, builtin_types=(bytes,))
    return payload
