"""Facts, from the tree to everyone who listens: log lines, subscribers, the keeper's history."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from supervisor.core.facts import Fact, FactKind
from supervisor.io.keeper_client import KeeperClient
from supervisor.root.log_lines import LogLines

KEPT = 5000
"""Facts the root itself remembers; older ones are asked of the state environment."""
KEPT_IN_VIEW = 50
PASS_ON_S = 0.005
"""Facts are passed on this much later, together: what they tell of is mostly a process that is
being started at this very moment, and it needs the processors more than its story does."""
ALARMS_KEPT = 10


class Chronicle:
    """Stamps facts and passes them on; never blocks.

    Args:
        loop: The root's loop.
        lines: Where log lines go.
        keeper: Where history goes; it buffers while the keeper is down.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, lines: LogLines, keeper: KeeperClient
    ) -> None:
        self._loop = loop
        self._lines = lines
        self._keeper = keeper
        self._facts: deque[Fact] = deque(maxlen=KEPT)
        self._alarms: deque[Fact] = deque(maxlen=ALARMS_KEPT)
        self._seq = 0
        self._waiting: list[Fact] = []
        self._timer: asyncio.TimerHandle | None = None
        self.on_fact: Callable[[], None] = lambda: None

    def note(self, fact: Fact) -> Fact:
        """Stamp `fact`, remember it and pass it on soon; return it as stamped."""
        self._seq += 1
        fact = msgspec.structs.replace(fact, seq=self._seq, at_s=time.time())
        self._facts.append(fact)
        if fact.kind is FactKind.ALARM:
            self._alarms.append(fact)
        self._waiting.append(fact)
        if self._timer is None:
            self._timer = self._loop.call_later(PASS_ON_S, self.pass_on)
        return fact

    def pass_on(self) -> None:
        """Pass on what waits, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        facts, self._waiting = self._waiting, []
        if not facts:
            return
        for fact in facts:
            self._lines.write(fact)
        self._keeper.append_facts(facts)
        self.on_fact()

    def tell(self, kind: FactKind, text: str, *, id: str = "", os_pid: int = 0) -> None:
        """Note something that the shell knows and the tree does not."""
        self.note(Fact(kind=kind, id=id, os_pid=os_pid, text=text))

    @property
    def last_seq(self) -> int:
        """Number of the last fact."""
        return self._seq

    def since(self, seq: int) -> tuple[Fact, ...]:
        """Return the facts after number `seq`, as far as they are remembered."""
        newer: list[Fact] = []
        for fact in reversed(self._facts):
            if fact.seq <= seq:
                break
            newer.append(fact)
        return tuple(reversed(newer))

    def latest(self, count: int = KEPT_IN_VIEW) -> tuple[Fact, ...]:
        """Return the last `count` facts, oldest first."""
        return self.since(self._seq - count)

    def alarms(self, after_s: float) -> tuple[str, ...]:
        """Return the texts of the alarms since `after_s` (UTC seconds), oldest first, once each."""
        recent = (fact for fact in self._alarms if fact.at_s >= after_s)
        return tuple(dict.fromkeys(f"{f.id}: {f.text}" if f.id else f.text for f in recent))

    def about(self, ids: set[str]) -> Iterator[Fact]:
        """Iterate over the remembered facts about these children, oldest first."""
        return (fact for fact in self._facts if fact.id in ids)
