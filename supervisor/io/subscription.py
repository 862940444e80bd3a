"""A subscription to what happens in a node, kept alive over the deaths of its roots."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from supervisor.core.facts import Fact
from supervisor.core.requests import SUBSCRIPTION_S, Subscribe, Update

if TYPE_CHECKING:
    from supervisor.io.control_client import ControlClient

LOOK_S = 0.25
"""How often it looks whether the node is still there and its root the same."""
RENEW_S = SUBSCRIPTION_S / 3
"""Two renewals may get lost before the root forgets a subscriber."""


class Subscription:
    """What happens from now on, renewed by itself, over any number of roots.

    Facts come in order, none twice. A new root numbers its facts anew; what it has told before
    the subscription found it is asked for, so nothing of its is missed.
    """

    def __init__(self, client: ControlClient, subscribe: Subscribe) -> None:
        self._client = client
        self._subscribe = subscribe
        self._seen_seq = subscribe.since_seq
        self._root_pid = client.root_pid()
        self._renew_at_s = 0.0
        self._look_at_s = 0.0

    def next(self, timeout_s: float) -> Update | None:
        """Return the next update, or None after `timeout_s`.

        Raises:
            NotFound: The node is no longer there.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._renew_if_due()
            left_s = max(0.0, deadline_s - time.monotonic())
            update = self._client.next_update(min(left_s, LOOK_S))
            fresh = self._fresh(update) if update is not None else None
            if fresh is not None:
                return fresh
            if update is None:
                self._client.require_node()
            if left_s == 0.0:
                return None

    def _renew_if_due(self) -> None:
        now_s = time.monotonic()
        if now_s < self._look_at_s:
            return
        self._look_at_s = now_s + LOOK_S
        root_pid = self._client.root_pid()
        is_new_root = bool(root_pid and self._root_pid and root_pid != self._root_pid)
        self._root_pid = root_pid or self._root_pid
        if is_new_root:
            self._seen_seq = 0
        if is_new_root or now_s >= self._renew_at_s:
            self._renew_at_s = now_s + RENEW_S
            self._client.send(
                Subscribe(since_seq=self._seen_seq, view_interval_s=self._subscribe.view_interval_s)
            )

    def _fresh(self, update: Update) -> Update | None:
        """Return the update without the facts already seen; None if nothing is left of it."""
        facts: list[Fact] = []
        for fact in update.facts:
            if fact.seq > self._seen_seq or fact.seq == 0:
                facts.append(fact)
                self._seen_seq = max(self._seen_seq, fact.seq)
        if not facts and update.view is None:
            return None
        return Update(facts=tuple(facts), view=update.view)
