"""Clients that watch: facts as they happen, views at the pace they asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from supervisor.core.requests import SUBSCRIPTION_S, Subscribe, Update
from supervisor.core.view import NodeView
from supervisor.root.chronicle import Chronicle

FIGURES_EVERY_S = 1.0
"""A view is sent this often even if nothing happened: CPU and memory change without a fact."""
FACTS_AN_UPDATE = 500
MAX_SUBSCRIBERS = 64
"""More watchers of one node is a mistake in somebody's script."""


@dataclass(slots=True)
class Subscriber:
    """One client that watches."""

    peer: bytes
    expires_at_s: float
    view_interval_s: float
    seen_seq: int
    view_at_s: float = 0.0
    view_seq: int = -1


class Subscribers:
    """All clients that watch; nobody watches, nothing costs.

    Args:
        loop: The root's loop.
        chronicle: Where facts come from.
        view: Makes a view.
        send: Sends an update.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        chronicle: Chronicle,
        view: Callable[[], NodeView],
        send: Callable[[bytes, Update], None],
    ) -> None:
        self._loop = loop
        self._chronicle = chronicle
        self._view = view
        self._send = send
        self._by_peer: dict[bytes, Subscriber] = {}
        self._timer: asyncio.TimerHandle | None = None

    def subscribe(self, peer: bytes, wish: Subscribe) -> None:
        """Add a subscriber, or renew it."""
        expires_at_s = self._loop.time() + SUBSCRIPTION_S
        known = self._by_peer.get(peer)
        if known is not None:
            known.expires_at_s = expires_at_s
            known.view_interval_s = wish.view_interval_s
            if wish.since_seq >= 0:
                known.seen_seq = min(known.seen_seq, wish.since_seq)  # it has lost some
            self.wake()
            return
        if len(self._by_peer) >= MAX_SUBSCRIBERS:
            oldest = min(self._by_peer.values(), key=lambda one: one.expires_at_s)
            del self._by_peer[oldest.peer]
        seen_seq = self._chronicle.last_seq if wish.since_seq < 0 else wish.since_seq
        if seen_seq > self._chronicle.last_seq:
            seen_seq = 0  # the number is of a root before this one
        self._by_peer[peer] = Subscriber(peer, expires_at_s, wish.view_interval_s, seen_seq)
        self.wake()

    @property
    def is_watched(self) -> bool:
        """Whether anybody wants views."""
        return any(one.view_interval_s > 0 for one in self._by_peer.values())

    def wake(self) -> None:
        """Something happened: look soon who is to be told."""
        if self._by_peer:
            self._look_in(0.0)

    def flush(self) -> None:
        """Tell everybody everything now: the root is about to end."""
        self._look()

    def _look_in(self, delay_s: float) -> None:
        at_s = self._loop.time() + delay_s
        if self._timer is not None:
            if self._timer.when() <= at_s:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(at_s, self._look)

    def _look(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        for peer in [p for p, one in self._by_peer.items() if one.expires_at_s < now_s]:
            del self._by_peer[peer]
        view: NodeView | None = None
        for one in self._by_peer.values():
            if self._is_view_due(one, now_s) and view is None:
                view = self._view()
            self._tell(one, view, now_s)
        if self._by_peer:
            self._look_in(self._next_in_s(self._loop.time()))

    def _is_view_due(self, one: Subscriber, now_s: float) -> bool:
        if one.view_interval_s <= 0:
            return False
        has_news = one.view_seq != self._chronicle.last_seq
        return now_s >= one.view_at_s + (one.view_interval_s if has_news else FIGURES_EVERY_S)

    def _tell(self, one: Subscriber, view: NodeView | None, now_s: float) -> None:
        is_due = self._is_view_due(one, now_s)
        facts = self._chronicle.since(one.seen_seq)[:FACTS_AN_UPDATE]
        if not facts and not is_due:
            return
        if facts:
            one.seen_seq = facts[-1].seq
        if is_due:
            one.view_at_s = now_s
            one.view_seq = self._chronicle.last_seq
        self._send(one.peer, Update(facts=facts, view=view if is_due else None))

    def _next_in_s(self, now_s: float) -> float:
        due_s = now_s + FIGURES_EVERY_S
        for one in self._by_peer.values():
            if one.seen_seq < self._chronicle.last_seq:
                return 0.0
            if one.view_interval_s > 0:
                has_news = one.view_seq != self._chronicle.last_seq
                pace_s = one.view_interval_s if has_news else FIGURES_EVERY_S
                due_s = min(due_s, one.view_at_s + pace_s)
        return max(0.0, due_s - now_s)
