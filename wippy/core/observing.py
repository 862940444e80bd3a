"""The observation bus: what may be published, and what waits for a subscriber. Pure.

Observations are a best effort: nobody waits for them, nothing is kept for who does not take them.
What is dropped is counted, so a subscriber knows what it has not seen.
"""

from __future__ import annotations

from collections import Counter, deque

import msgspec

from wippy.core import pattern
from wippy.core.pattern import Pattern
from wippy.errors import Invalid

MAX_EVENT_BYTES = 16 * 2**10
"""Of one observation: with `DEFAULT_SIZE` unread ones, 16 MiB are the most a subscription holds."""
DEFAULT_SIZE = 1000
MAX_SIZE = 100_000
MAX_PATTERNS = 256
"""Of all subscriptions of one process: every publisher looks through them."""
MAX_TOPICS_COUNTED = 64
"""Dropped observations are counted by topic, up to so many topics for each receiver; those of
others are counted under the first of them."""
OWN = "wippy"
"""What topics of the runtime's own begin with."""


class Unseen(msgspec.Struct, frozen=True):
    """An observation on its way to its subscriber; `data` is its payload, encoded."""

    topic: str
    data: bytes
    sender: str
    at_s: float


class Window:
    """The newest observations that nobody has taken yet.

    Args:
        size: How many may wait; one more drops the oldest.

    Attributes:
        dropped: How many were dropped, here or on the way.
    """

    __slots__ = ("_waiting", "dropped")

    def __init__(self, size: int) -> None:
        self._waiting: deque[Unseen] = deque(maxlen=size)
        self.dropped = 0

    def put(self, unseen: Unseen) -> None:
        """Add one."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(unseen)

    def take(self) -> Unseen | None:
        """Return the oldest; None if there is none."""
        return self._waiting.popleft() if self._waiting else None

    def __len__(self) -> int:
        return len(self._waiting)


class Lost:
    """Observations that could not be sent to one process, until it can be told."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def note(self, topic: str) -> None:
        """Count one."""
        if topic not in self.counts and len(self.counts) >= MAX_TOPICS_COUNTED:
            topic = next(iter(self.counts))
        self.counts[topic] += 1

    def take(self) -> dict[str, int]:
        """Return what was counted, and begin anew."""
        counts, self.counts = dict(self.counts), Counter()
        return counts


class Routes:
    """Who wants what: processes by pattern, with the answers for recent topics remembered.

    Args:
        processes: (slot, generation, patterns) of each.
    """

    MAX_REMEMBERED = 1024

    def __init__(self, processes: tuple[tuple[str, int, tuple[str, ...]], ...] = ()) -> None:
        self._processes = tuple(
            ((slot, generation), tuple(map(pattern.parse, patterns)))
            for slot, generation, patterns in processes
        )
        self._known: dict[str, tuple[tuple[str, int], ...]] = {}

    def of(self, topic: str) -> tuple[tuple[str, int], ...]:
        """Return the (slot, generation) of those who want `topic`."""
        known = self._known.get(topic)
        if known is None:
            known = tuple(key for key, patterns in self._processes if is_wanted(topic, patterns))
            if len(self._known) >= self.MAX_REMEMBERED:
                self._known.clear()
            self._known[topic] = known
        return known


def is_wanted(topic: str, patterns: tuple[Pattern, ...]) -> bool:
    """Say whether one of the patterns stands for `topic`."""
    return any(it.matches(topic) for it in patterns)


def check_topic(topic: str) -> None:
    """Raise `Invalid` for a topic that nobody may publish; `TypeError` for what is no text."""
    pattern.check_name(topic)
    if topic.split(".", 1)[0] == OWN or topic.split(":", 1)[0] == OWN:
        raise Invalid(f"{topic!r}: topics that begin with '{OWN}' are the runtime's own")


def check_event_size(data: bytes) -> None:
    """Raise `Invalid` for a payload that is too large for an observation."""
    if len(data) > MAX_EVENT_BYTES:
        raise Invalid(
            f"an observation of {len(data)} bytes; at most {MAX_EVENT_BYTES} are carried: publish "
            "the fact, send the data as a message"
        )


def check_size(size: int) -> None:
    """Raise `Invalid` for a size that no subscription can have."""
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_SIZE:
        raise Invalid(f"a subscription holds 1 to {MAX_SIZE} unread observations, not {size!r}")
