"""Who is who: the credentials that the root has given to processes, and what they stand for.

The root alone knows what it has made as what. Each process, and each supervised actor of a pool,
gets 16 random bytes with its job. The keeper asks what they stand for when it sees them first; so
neither a launch nor a restarted keeper costs anything, and none can come too early.
"""

from __future__ import annotations

import os

from supervisor.core.identity import Standing
from wippy.core.policy import Identity

CREDENTIAL_BYTES = 16
"""As many as a random UUID has: nobody guesses one."""


class Credentials:
    """The credentials of one root.

    Attributes:
        own: The root's: what it asks of the keeper, it asks for an operator.
    """

    def __init__(self) -> None:
        self.own = os.urandom(CREDENTIAL_BYTES)
        self._given: dict[str, tuple[int, Standing]] = {}
        self._by_credential: dict[bytes, Standing] = {}
        self._explained: set[bytes] = set()

    def give(
        self, slot: str, generation: int, identity: Identity | None, *, is_shared: bool = False
    ) -> bytes:
        """Return a new credential for a child's generation; that of the one before is over."""
        self._drop(slot)
        standing = Standing(os.urandom(CREDENTIAL_BYTES), True, slot, is_shared, identity)
        self._given[slot] = generation, standing
        self._by_credential[standing.credential] = standing
        return standing.credential

    def explain(self, credential: bytes) -> Standing:
        """Return whose a credential is, for the keeper, which then is to be told of its end."""
        standing = self._by_credential.get(credential)
        if standing is None:
            return Standing(credential)
        self._explained.add(credential)
        return standing

    def identity(self, slot: str, generation: int) -> Identity | None:
        """Return as whom a child's generation acts."""
        given = self._given.get(slot)
        return given[1].identity if given is not None and given[0] == generation else None

    def revoke(self, slot: str, generation: int | None = None) -> bytes | None:
        """A child's generation (None: any) has ended; return the credential that the keeper must
        forget, if it knows it."""
        given = self._given.get(slot)
        if given is None or generation not in (None, given[0]):
            return None
        return self._drop(slot)

    def _drop(self, slot: str) -> bytes | None:
        given = self._given.pop(slot, None)
        if given is None:
            return None
        credential = given[1].credential
        del self._by_credential[credential]
        if credential not in self._explained:
            return None
        self._explained.discard(credential)
        return credential
