"""Too many restarts: who gives up, who is quarantined, with which code the runtime ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import entry, files, journal, service

from supervisor.core.facts import FactKind
from supervisor.core.requests import Facts, History
from supervisor.core.view import State
from wippy.core.reasons import GaveUp, Signal

pytestmark = pytest.mark.system

NO_WAIT = "backoff: {initial_delay: 0s}"
STRICT = "{max_restarts: 1, within: 100s}"


def kill(shop: RealNode, id_: str) -> None:
    os.kill(shop.pid(id_), signal.SIGKILL)


def kill_generations(shop: RealNode, id_: str, generations: range) -> None:
    for generation in generations:
        row = shop.wait_row(
            id_, lambda row, g=generation: row.generation == g and row.state is State.UP
        )
        os.kill(row.os_pid, signal.SIGKILL)


def facts(shop: RealNode, id_: str) -> list[FactKind]:
    answer = shop.ask(History(id_))
    assert isinstance(answer, Facts)
    return [fact.kind for fact in answer.facts]


def test_giving_up_goes_from_parent_to_parent_and_ends_the_runtime_with_the_chain(
    node: Callable[..., RealNode],
) -> None:
    """a dies twice: `inner` gives up; so twice: `outer` gives up; so twice: the top gives up."""
    shop = node(
        files(
            [
                entry("outer", kind="supervisor", intensity=STRICT, children="[inner]"),
                entry("inner", kind="supervisor", intensity=STRICT, children="[a, b]"),
                service("a", lifecycle=f"{{{NO_WAIT}}}"),
                service("b"),
            ],
            f"intensity: {STRICT}",
        )
    )
    kill_generations(shop, "t:a", range(1, 3))
    row = shop.wait_row("t:inner", lambda row: row.generation == 2 and row.state is State.UP)
    assert isinstance(row.last_exit, GaveUp)
    assert (row.last_exit.child, row.last_exit.last_exits[-1]) == ("t:a", Signal(9))
    assert "gave up" in shop.cli("why", "t:inner").stdout
    kill_generations(shop, "t:a", range(3, 9))
    assert shop.wait_end() == 69
    last = shop.output().strip().splitlines()[-1]
    chain = [
        "wippy:root gave up: t:outer needed more than 1 restart in 100 s",
        "t:outer gave up: t:inner needed more than 1 restart in 100 s",
        "t:inner gave up: t:a needed more than 1 restart in 100 s",
        "killed by SIGKILL",
    ]
    places = [last.find(words) for words in chain]
    assert -1 not in places, last
    assert places == sorted(places)
    ends = [line for line in journal(shop.folder) if line.id == "t:b"]
    assert [line.what for line in ends] == ["start", "stop"] * 4


def test_a_child_with_a_limit_of_its_own_is_quarantined_and_harms_nobody(
    node: Callable[..., RealNode],
) -> None:
    limit = f"{{max_restarts: 2, within: 100s, on_limit: quarantine, {NO_WAIT}}}"
    shop = node(files([service("a", lifecycle=limit), service("b")]))
    kill_generations(shop, "t:a", range(1, 4))
    row = shop.wait_row("t:a", lambda row: row.state is State.FAILED)
    assert row.last_exit == Signal(9)
    assert FactKind.QUARANTINED in facts(shop, "t:a")
    status = shop.cli("status")
    assert status.returncode == 3
    assert "failed" in status.stdout
    assert "wippy-supervisor start t:a" in shop.cli("why", "t:a").stdout
    assert shop.row("t:b").generation == 1
    assert shop.cli("start", "t:a").returncode == 0
    assert shop.cli("status").returncode == 0


def test_a_crash_loop_is_flagged_until_a_stable_life(node: Callable[..., RealNode]) -> None:
    shop = node(files([service("a", lifecycle=f"{{stable_threshold: 2s, {NO_WAIT}}}")]))
    kill_generations(shop, "t:a", range(1, 6))
    shop.wait_row("t:a", lambda row: row.is_crash_loop and row.generation == 6)
    assert "crash loop" in shop.cli("status").stdout
    shop.wait_row("t:a", lambda row: not row.is_crash_loop and row.state is State.UP)
    kinds = facts(shop, "t:a")
    assert kinds.index(FactKind.CRASH_LOOP) < kinds.index(FactKind.STABLE)


@pytest.mark.parametrize(
    ("how", "number", "code"), [("exit 3", signal.SIGUSR2, 3), ("kill", signal.SIGKILL, 137)]
)
def test_an_essential_child_that_fails_for_good_ends_the_runtime_with_its_code(
    node: Callable[..., RealNode], how: str, number: int, code: int
) -> None:
    essential = "{restart: temporary, essential: true}"
    shop = node(
        files([service("b"), service("a", "ender", input=f"[{how!r}]", lifecycle=essential)])
    )
    os.kill(shop.pid("t:a"), number)
    assert shop.wait_end() == code
    assert "t:a is essential and has failed for good" in shop.output()
    assert [line.what for line in journal(shop.folder) if line.id == "t:b"] == ["start", "stop"]


def test_an_essential_child_that_ends_well_ends_nothing(node: Callable[..., RealNode]) -> None:
    essential = "{restart: transient, essential: true}"
    shop = node(files([service("a", "ender", input="[return]", lifecycle=essential)]))
    os.kill(shop.pid("t:a"), signal.SIGUSR1)
    shop.wait_row("t:a", lambda row: row.state is State.DONE)
    assert shop.cli("status").returncode == 0


@pytest.mark.parametrize(
    ("mode", "enders"), [("any_significant", ["x"]), ("all_significant", ["x", "y"])]
)
def test_significant_children_take_their_supervisor_along(
    node: Callable[..., RealNode], mode: str, enders: list[str]
) -> None:
    significant = "{restart: transient, significant: true}"
    transient = "{restart: transient}"
    shop = node(
        files(
            [
                entry(
                    "s",
                    kind="supervisor",
                    auto_shutdown=mode,
                    children="[w, x, y]",
                    lifecycle=transient,
                ),
                service("w"),
                service("x", "ender", input="[return]", lifecycle=significant),
                service("y", "ender", input="[return]", lifecycle=significant),
                service("other"),
            ]
        )
    )
    for name in enders:
        assert shop.row("t:s").state is State.UP
        os.kill(shop.pid(f"t:{name}"), signal.SIGUSR1)
        shop.wait_row(f"t:{name}", lambda row: row.state is not State.UP)
    shop.wait_row("t:s", lambda row: row.state is State.DONE)
    assert [line.what for line in journal(shop.folder) if line.id == "t:w"] == ["start", "stop"]
    assert shop.row("t:other").generation == 1


def test_a_group_restart_revives_neither_what_is_done_nor_what_an_operator_holds(
    node: Callable[..., RealNode],
) -> None:
    shop = node(
        files(
            [
                entry("s", kind="supervisor", strategy="one_for_all", children="[a, d, h, z]"),
                service("a"),
                service("d", "ender", input="[return]", lifecycle="{restart: transient}"),
                service("h"),
                service("z"),
            ]
        )
    )
    os.kill(shop.pid("t:d"), signal.SIGUSR1)
    shop.wait_row("t:d", lambda row: row.state is State.DONE)
    assert shop.cli("stop", "t:h", "--yes").returncode == 0
    kill(shop, "t:a")
    for name in ("a", "z"):
        shop.wait_row(f"t:{name}", lambda row: row.generation == 2 and row.state is State.UP)
    assert shop.row("t:d").state is State.DONE
    assert shop.row("t:h").state is State.HELD
    starts = [line.id for line in journal(shop.folder) if line.what == "start"]
    assert (starts.count("t:d"), starts.count("t:h")) == (1, 1)
