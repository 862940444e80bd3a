"""Who asks: whose the credentials are that come with requests to change the registry.

The keeper believes no process. What a credential stands for is asked of the root, once, when it is
seen first; requests that show it wait meanwhile, and are resent by who asks if they wait too long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from supervisor.core.identity import IDENTITY, IDENTITY_REVOKED, IDENTITY_WANTED, Standing
from supervisor.core.keeping import ApplyChanges, ApplyVersion, ForgetVersions, LoadRegistry
from supervisor.core.registry.access import ANYBODY, Asker
from wippy.core.policy import Identity, bounded
from wippy.errors import PermissionDenied

MAX_KNOWN = 100_000
"""Credentials kept; past it they are asked for again."""
MAX_ASKED = 1_000
"""Credentials that are being asked for: more are made up by somebody."""

Guarded = ApplyChanges | ApplyVersion | LoadRegistry | ForgetVersions


class Gate:
    """Tells who asks.

    Args:
        operator: The credential of the root, which asks for operators; empty lets everybody be one.
        is_strict: Who shows no credential, or a wrong one, is refused; else it is nobody, whom
            only the policies of everyone bind.
        publish: Tells the root.
    """

    def __init__(
        self, operator: bytes, *, is_strict: bool, publish: Callable[[str, dict[str, Any]], None]
    ) -> None:
        self._operator = operator
        self._is_strict = is_strict
        self._publish = publish
        self._known: dict[bytes, Standing] = {}
        self._asked: set[bytes] = set()

    def find(self, request: Guarded) -> Asker | None:
        """Return who makes a request; None: the root has been asked, ask again when it answers.

        Raises:
            PermissionDenied: Nobody who may.
            Invalid: The identity that it claims is narrowed too often.
        """
        credential = request.credential
        if not self._operator:
            return ANYBODY
        if credential == self._operator:
            return ANYBODY
        if isinstance(request, LoadRegistry | ForgetVersions):
            raise PermissionDenied("only an operator loads files, and has versions forgotten")
        if not credential:
            return self._nobody("it shows no credential")
        standing = self._known.get(credential)
        if standing is not None:
            return _asker(standing, request)
        self._ask(credential)
        return None

    def answered(self, request: Guarded) -> Asker:
        """As `find`, once the root has said whose the credential is, or that it is nobody's."""
        asker = self.find(request) if request.credential in self._known else None
        return asker or self._nobody("its credential is nobody's (any more)")

    def told(self, topic: str, payload: dict[str, Any]) -> bytes | None:
        """Take what the root tells; return a credential whose requests need not wait any more."""
        if topic == IDENTITY_REVOKED:
            self._known.pop(payload.get("credential", b""), None)
            return None
        if topic != IDENTITY:
            return None
        standing = msgspec.convert(payload, Standing)
        self._asked.discard(standing.credential)
        if standing.is_known:
            self._known[standing.credential] = standing
            if len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]
        return standing.credential

    def _ask(self, credential: bytes) -> None:
        if credential not in self._asked and len(self._asked) >= MAX_ASKED:
            raise PermissionDenied(f"{MAX_ASKED} credentials are unknown already")
        # Again, for one that was asked for before: a root may have died over it.
        self._asked.add(credential)
        self._publish(IDENTITY_WANTED, {"credential": credential})

    def _nobody(self, why: str) -> Asker:
        if self._is_strict:
            raise PermissionDenied(f"the registry is not changed for nobody: {why}")
        return Asker(Identity(id=""))


def _asker(standing: Standing, request: ApplyChanges | ApplyVersion) -> Asker:
    identity = bounded(request.identity, standing.identity or Identity(id=standing.slot))
    author = f"{request.author} in {standing.slot}" if standing.is_shared else standing.slot
    return Asker(identity, author=author)
