"""Nodes to look at: a shop, a big pool, a thousand rows."""

from __future__ import annotations

import msgspec

from supervisor.core.facts import Fact, FactKind
from supervisor.core.view import NodeView, Row, RowKind, State
from wippy.core.reasons import Error, Exit, Signal

AT_S = 1_760_000_000.0


def row(id: str, parent: str = "wippy:root", depth: int = 1, **fields: object) -> Row:
    """Return a row that is up, with what `fields` says."""
    usual: dict[str, object] = {
        "kind": RowKind.ACTOR,
        "state": State.UP,
        "generation": 1,
        "os_pid": 4000 + sum(map(ord, id)) % 1000,
        "uptime_s": 300.0,
        "cpu_percent": 0.4,
        "memory_bytes": 9 * 2**20,
        "heartbeat_age_s": 0.4,
        "log_path": f"/nowhere/{id}.log",
    }
    return Row(id=id, parent=parent, depth=depth, **{**usual, **fields})  # type: ignore[arg-type]


def supervisor(id: str, parent: str = "wippy:root", depth: int = 1, **fields: object) -> Row:
    """Return a supervisor's row."""
    usual: dict[str, object] = {
        "kind": RowKind.SUPERVISOR,
        "os_pid": 0,
        "strategy": "one_for_one",
        "window_max": 5,
        "window_s": 10.0,
        "heartbeat_age_s": None,
        "cpu_percent": None,
        "memory_bytes": None,
        "log_path": "",
    }
    return row(id, parent, depth, **{**usual, **fields})


def pool(id: str, workers: int, parent: str = "wippy:root", depth: int = 1) -> list[Row]:
    """Return a pool and its workers, two of which are in back-off."""
    head = supervisor(id, parent, depth, kind=RowKind.POOL, strategy="", window_s=0.0)
    rows = [head]
    for number in range(1, workers + 1):
        is_well = number > 2
        rows.append(
            row(
                f"{id}#{number}",
                id,
                depth + 1,
                kind=RowKind.WORKER,
                state=State.UP if is_well else State.BACKOFF,
                os_pid=20000 + number if is_well else 0,
                next_try_s=0.0 if is_well else 2.5,
                actors=3,
            )
        )
    return rows


def shop() -> NodeView:
    """Return the node of the demonstration, with something in most states."""
    rows = (
        supervisor("wippy:root", "", 0),
        supervisor("wippy:system"),
        row("wippy:keeper", "wippy:system", 2, kind=RowKind.SYSTEM, memory_bytes=31 * 2**20),
        row("wippy:forkserver", "wippy:system", 2, kind=RowKind.SYSTEM, heartbeat_age_s=None),
        supervisor("app:ingest", strategy="rest_for_one", window_used=2, window_max=3),
        row("app:db_proxy", "app:ingest", 2, generation=3, restarts=2, restarts_last_minute=2,
            last_exit=Signal(9), uptime_s=4.0),
        row("app:worker", "app:ingest", 2, state=State.STOPPING, caused_by="app:db_proxy"),
        row("app:reporter", "app:ingest", 2, state=State.STARTING, uptime_s=0.0, generation=3),
        *pool("app:web", 3),
        supervisor("app:pair", strategy="one_for_all"),
        row("app:left", "app:pair", 2, is_frozen=True, heartbeat_age_s=14.0),
        row("app:right", "app:pair", 2, inbox=7),
        row("app:redis", kind=RowKind.PROGRAM, heartbeat_age_s=None, cpu_percent=101.2),
        row("app:moody", state=State.BACKOFF, os_pid=0, next_try_s=3.2, is_crash_loop=True,
            restarts=12, restarts_last_minute=4, generation=13,
            last_exit=Error("builtins.ValueError", "no luck today", "Traceback ...")),
        row("app:broken", state=State.FAILED, os_pid=0, last_exit=Exit(3), restarts=5,
            detail="more than 4 restarts in 10 s"),
        row("app:held", state=State.HELD, os_pid=0, detail="stopped by an operator"),
        row("app:once", state=State.DONE, os_pid=0),
    )  # fmt: skip
    return NodeView(
        node="shop",
        version="0.1.0",
        source="configs/",
        run_dir="/run/user/1000/wippy/shop",
        root_pid=1234,
        guardian_pid=1233,
        uptime_s=3723.0,
        root_uptime_s=3722.0,
        at_s=AT_S,
        registry_version=1,
        restarts=19,
        restarts_last_minute=6,
        spares=2,
        root_cpu_percent=0.3,
        root_memory_bytes=28 * 2**20,
        rows=rows,
        facts=facts(),
    )


def facts() -> tuple[Fact, ...]:
    """Return what has happened in the shop."""
    return (
        Fact(seq=1, at_s=AT_S - 9, kind=FactKind.NODE_READY, text="9 children are up"),
        Fact(seq=2, at_s=AT_S - 4.2, kind=FactKind.EXITED, id="app:db_proxy", generation=2,
             os_pid=4711, reason=Signal(9), lived_s=3.2),
        Fact(seq=3, at_s=AT_S - 4.2, kind=FactKind.DECIDED, id="app:db_proxy", text="restart",
             affected=("app:worker", "app:reporter"), used=2, allowed=3, within_s=10.0),
        Fact(seq=4, at_s=AT_S - 4.1, kind=FactKind.READY, id="app:db_proxy", generation=3,
             os_pid=4803, took_s=0.008, down_s=0.009),
        Fact(seq=5, at_s=AT_S - 1, kind=FactKind.QUARANTINED, id="app:broken", reason=Exit(3),
             text="more than 4 restarts in 10 s"),
    )  # fmt: skip


def big(count: int = 1000) -> NodeView:
    """Return a node of `count` rows, none of which folds by itself."""
    rows = [supervisor("wippy:root", "", 0)]
    while len(rows) < count:
        group = supervisor(f"app:group_{len(rows)}")
        rows.append(group)
        rows += [row(f"app:child_{len(rows) + n}", group.id, 2) for n in range(19)]
    return msgspec.structs.replace(shop(), rows=tuple(rows[:count]))


def with_row(view: NodeView, id: str, **fields: object) -> NodeView:
    """Return `view` with the fields of one row replaced."""
    rows = tuple(
        msgspec.structs.replace(each, **fields) if each.id == id else each for each in view.rows
    )
    return msgspec.structs.replace(view, rows=rows)
