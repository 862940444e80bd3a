"""As whom the calling actor acts, and what it may.

from wippy import process, security

if security.can("shop.refund", "shop:orders"):
    ...
with security.with_actor("shop:reader", policies=["shop:read_only"]):
    process.spawn("shop:report")        # it may read, and so may what it spawns and calls

Policies are entries of the kind `security.policy`; a service says with `security:` as whom it acts.
What is checked where, and what it is worth: docs/security.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from wippy.core.ids import split_id
from wippy.core.payload import encode
from wippy.core.policy import Identity, narrowed
from wippy.runtime import guard
from wippy.runtime.context import current

__all__ = ["Identity", "actor", "can", "with_actor"]


def actor() -> Identity:
    """Return as whom the calling actor acts: name, meta, policies, groups.

    Raises:
        Invalid: Called by code that is no actor's.
    """
    return guard.identity_of(current())


def can(action: str, resource: str, fields: Mapping[str, Any] | None = None) -> bool:
    """Say whether the calling actor may do `action` to `resource`, by the policies as they are now.

    Args:
        action: One of the runtime's (`process.send`), or a name of your own (`shop.refund`).
        resource: An entry id, or a name.
        fields: What conditions may look at besides `actor`, `action` and `resource`.

    Raises:
        Invalid: Called by code that is no actor's.
        Unavailable: The registry cannot be read.
    """
    return guard.is_allowed(current(), action, resource, _given(fields))


@contextmanager
def with_actor(
    id: str = "",
    *,
    meta: Mapping[str, Any] | None = None,
    policies: Iterable[str] = (),
    groups: Iterable[str] = (),
    is_strict: bool = True,
) -> Iterator[Identity]:
    """Act as somebody who may less, within a `with` block.

    It narrows and never widens: in the block is allowed what these policies allow, and what the
    calling actor was allowed before. It holds for the calling task, the tasks that it makes, what
    they spawn and which functions they call; not for threads that they start themselves.

    Args:
        id: Name of the identity; as before by default.
        meta: Its free data; as before by default.
        policies: Ids of policies.
        groups: Groups of policies.
        is_strict: What none of them allows is denied; False: only what they deny is.

    Raises:
        Invalid: An id is none, it was narrowed too often, or the code is no actor's.
        TypeError: `meta` is no data.
    """
    context = current()
    before = guard.identity_of(context)
    named = tuple(policies)
    for policy in named:
        split_id(policy)
    data = dict(before.meta if meta is None else meta)
    encode(data)
    less = Identity(id or before.id, data, named, tuple(groups), is_strict)
    if context.local is not None:
        guard.shut(context.local)
    token = guard.narrowed_to.set(narrowed(less, before))
    try:
        yield guard.identity_of(context)
    finally:
        guard.narrowed_to.reset(token)


def _given(fields: Mapping[str, Any] | None) -> Callable[[], Mapping[str, Any]]:
    return lambda: {} if fields is None else fields
