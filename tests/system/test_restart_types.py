"""Every restart type meets every kind of end, in real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import files, journal, service

from supervisor.core.view import NodeView, Row, State
from wippy.core.reasons import Error, Exit, Normal, Signal

pytestmark = pytest.mark.system

REASONS = {
    "return": Normal(),
    "exit 3": Exit(3),
    "raise": Error("ValueError", "told to"),
    "kill": Signal(9),
}
EXPECTED = {
    ("permanent", "return"): "restarted",
    ("permanent", "exit 3"): "restarted",
    ("permanent", "raise"): "restarted",
    ("permanent", "kill"): "restarted",
    ("transient", "return"): "done",
    ("transient", "exit 3"): "restarted",
    ("transient", "raise"): "restarted",
    ("transient", "kill"): "restarted",
    ("temporary", "return"): "removed",
    ("temporary", "exit 3"): "removed",
    ("temporary", "raise"): "removed",
    ("temporary", "kill"): "removed",
}
WAYS = ("return", "exit 3", "raise", "kill")
SIGNALS = {
    "return": signal.SIGUSR1,
    "exit 3": signal.SIGUSR2,
    "raise": signal.SIGHUP,
    "kill": signal.SIGKILL,
}


@pytest.mark.parametrize("host", ["", "pool"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_each_end_leads_where_the_restart_type_says(
    node: Callable[..., RealNode], restart: str, host: str
) -> None:
    """All four ends at once, one child each, dedicated or (but for the kill) in a pool."""
    ways = [way for way in WAYS if not (host and way == "kill")]
    where = {"host": host} if host else {}
    children = [
        service(
            _name(way),
            "ender",
            input=f"[{way!r}]",
            lifecycle=f"{{restart: {restart}}}",
            **where,
        )
        for way in ways
    ]
    pool = ["  - {name: pool, kind: process.host, workers: 3}"] if host else []
    shop = node(files([*pool, *children]))
    before = {way: shop.row(f"t:{_name(way)}") for way in ways}

    for way in ways:
        os.kill(before[way].os_pid, SIGNALS[way])

    for way in ways:
        outcome = EXPECTED[restart, way]
        view = shop.wait_view(lambda view, way=way, out=outcome: _is(view, _name(way), out))
        row = _row(view, _name(way))
        if row is not None:
            assert _plain(row.last_exit) == REASONS[way]
    starts = {way: _starts(shop, way) for way in ways}
    assert starts == {way: 2 if EXPECTED[restart, way] == "restarted" else 1 for way in ways}


def _name(way: str) -> str:
    return "w-" + way.replace(" ", "")


def _row(view: NodeView, name: str) -> Row | None:
    return next((row for row in view.rows if row.id == f"t:{name}"), None)


def _is(view: NodeView, name: str, outcome: str) -> bool:
    row = _row(view, name)
    if outcome == "removed":
        return row is None
    if row is None:
        return False
    if outcome == "done":
        return row.state is State.DONE
    return row.state is State.UP and row.generation == 2


def _plain(reason: object) -> object:
    return Error(reason.type, reason.message) if isinstance(reason, Error) else reason


def _starts(shop: RealNode, way: str) -> int:
    return sum(
        line.what == "start" and line.id == f"t:{_name(way)}" for line in journal(shop.folder)
    )
