"""Requests that come more than once, while they wait and after they were refused.

Who is not answered sends again, so copies of a request may be under way when its answer goes out.
What was applied is known by the store (`applied`). What was refused is known here: its asker has
been told that it did not happen, so no late copy may make it happen. A copy dies with the keeper
it was sent to; nothing of this needs to be on the disk.
"""

from __future__ import annotations

from supervisor.core.keeping import Answered
from wippy.errors import Failure

MAX_REFUSED = 10_000
"""Refusals kept: a copy comes within seconds, or not at all."""


class Copies:
    """The requests under way in one keeper, and those it has refused lately."""

    def __init__(self) -> None:
        self._askers: dict[bytes, bytes] = {}
        self._refused: dict[bytes, Failure] = {}

    def begin(self, request_id: bytes, client: bytes) -> None:
        """Note a request that is to be applied, and answered to `client`."""
        self._askers[request_id] = client

    def is_copy(self, request_id: bytes, client: bytes) -> bool:
        """Say whether a request waits already; it is answered to `client` from now on, which may
        be its asker that has connected anew."""
        if request_id not in self._askers:
            return False
        self._askers[request_id] = client
        return True

    def end(self, request_id: bytes, answer: Answered) -> bytes | None:
        """Note the answer to a request; return whom to send it, None if nobody waits."""
        if isinstance(answer, Failure):
            self.refuse(request_id, answer)
        return self._askers.pop(request_id, None)

    def refuse(self, request_id: bytes, failure: Failure) -> None:
        """Note a request that is refused; the oldest refusals are forgotten."""
        self._refused[request_id] = failure
        if len(self._refused) > MAX_REFUSED:
            del self._refused[next(iter(self._refused))]

    def refusal(self, request_id: bytes) -> Failure | None:
        """Return how a request was refused, if it was."""
        return self._refused.get(request_id)
