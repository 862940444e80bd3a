"""Pools that grow when they are loaded, begin empty if they may, and shrink when they are idle."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from real_node import RealNode
from talkers import Talker, files, service

from supervisor.core.view import NodeView, State
from wippy.core.messages import Code, HostReady, WantCode, WantWorker

pytestmark = pytest.mark.system


def workers(view: NodeView) -> list[str]:
    return [row.id for row in view.rows if row.parent == "t:pool" and row.state is State.UP]


def pool(**size: object) -> str:
    words = ", ".join(f"{key}: {value}" for key, value in size.items())
    return f"  - {{name: pool, kind: process.host, workers: {{{words}}}}}"


def test_a_pool_grows_by_one_worker_at_a_time_up_to_its_bound(
    node: Callable[..., RealNode],
) -> None:
    shop = node(
        files(
            pool(min=1, max=3, grow_at=2),
            *(service(f"p{number}", "worker", ", host: pool") for number in range(8)),
        )
    )
    view = shop.wait_view(lambda view: len(workers(view)) >= 2)
    assert workers(view)[:2] == ["t:pool#1", "t:pool#2"]
    assert len(workers(shop.view())) <= 3


def test_an_empty_pool_gets_its_first_worker_when_an_actor_waits_for_one(
    node: Callable[..., RealNode],
) -> None:
    shop = node(files(pool(min=0, max=1), service("p", "worker", ", host: pool")))
    assert shop.row("t:p").state is State.UP
    assert workers(shop.view()) == ["t:pool#1"]


def test_who_wants_a_worker_of_an_empty_pool_is_told_when_it_is_there(
    node: Callable[..., RealNode],
) -> None:
    shop = node(files(service("a"), pool(min=0, max=1, idle_timeout="1s")))
    assert workers(shop.view()) == []
    a = Talker(shop, "t:a")
    a.say(WantWorker("t:pool"), WantWorker("t:none"))
    answers = {a.hear(HostReady).host for _ in range(2)}
    assert answers == {"t:pool", "t:none"}
    a.say(WantWorker("t:pool"))
    assert a.hear(HostReady) == HostReady("t:pool")
    assert a.rows["host:t:pool"]["workers"][0][:2] == ["t:pool#1", 1]
    shop.wait_view(lambda view: workers(view) == [])  # nobody used it
    a.say(WantWorker("t:pool"))
    a.hear(HostReady)
    slot = a.rows["host:t:pool"]["workers"][0][0]
    assert slot == "t:pool#2"  # a slot is never used again
    os.kill(shop.pid(slot), signal.SIGKILL)
    shop.wait_view(lambda view: workers(view) == [])
    a.say(WantCode("t:worker"))
    a.hear(Code)
    assert "host:t:pool" not in a.rows
    a.close()
