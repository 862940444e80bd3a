<<<<<<< HEAD
"""Which workers of a pool the directory says are to come."""
=======
"""Which workers a pool is said to have soon: those that will be there, under their next number."""
>>>>>>> 6e9f303 (tmp)

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

<<<<<<< HEAD
from supervisor.core.view import State
from supervisor.root.promises import Promises
from supervisor.root.root import Root


def worker(number: int, state: State, generation: int = 0) -> Any:
    is_living = state is not State.IDLE and state is not State.BACKOFF
    slot = f"app:pool#{number}"
    return SimpleNamespace(id=slot, state=state, generation=generation, is_living=is_living)


def promised(*workers: Any, here: tuple[Any, ...] = (), state: State = State.UP) -> Any:
    """Return what is written of a pool with these workers, of which `here` take actors."""
    written: list[Any] = []
    pool = SimpleNamespace(
        id="app:pool",
        state=state,
        supervision=SimpleNamespace(last_number=len(workers)),
        spec=SimpleNamespace(supervisor=SimpleNamespace(pool=object())),
    )
    forest = SimpleNamespace(
        children_of=lambda _pool: workers, generations={"app:pool#1": 4, "app:pool#3": 7}
    )
    root = SimpleNamespace(
        is_closing=False,
        tree=SimpleNamespace(child=lambda _id: pool, forest=forest),
        pools=SimpleNamespace(workers=lambda _host: here),
        directory=SimpleNamespace(put_promised=lambda host, rows: written.append((host, rows))),
    )
    Promises(cast("Root", root)).changed("app:pool")
    assert [host for host, _ in written] == ["app:pool"]
    return written[0][1]


def test_a_worker_that_is_still_starting_is_promised_when_another_is_there_already() -> None:
    starting, up = worker(1, State.STARTING, 1), worker(2, State.UP, 1)
    assert promised(starting, up, here=(("app:pool#2", 1, 0),)) == (("app:pool#1", 1, 0),)


def test_one_that_waits_for_its_start_is_promised_with_its_next_generation() -> None:
    idle, backoff = worker(1, State.IDLE), worker(2, State.BACKOFF, 3)
    assert promised(idle, backoff) == (("app:pool#1", 1, 0), ("app:pool#2", 4, 0))


def test_a_pool_that_grows_promises_its_first_worker_and_none_once_it_has_one() -> None:
    assert promised() == (("app:pool#1", 5, 0),)
    assert promised(worker(1, State.UP, 5), here=(("app:pool#1", 5, 0),)) == ()


def test_a_pool_that_is_held_down_or_has_failed_promises_nobody() -> None:
    for state in (State.HELD, State.FAILED):
        assert promised(worker(1, State.IDLE), state=state) == ()
=======
import pytest

from supervisor.core.view import State
from supervisor.root.promises import Promises

HOST = "app:pool"


class World:
    """A root with one pool."""

    def __init__(self, workers: list[tuple[State, int]], *, up: tuple[int, ...] = ()) -> None:
        self.rows: list[Any] = []
        self.pool = SimpleNamespace(
            id=HOST,
            state=State.UP,
            spec=SimpleNamespace(supervisor=SimpleNamespace(pool=object())),
            supervision=SimpleNamespace(last_number=len(workers)),
        )
        self.workers = [
            SimpleNamespace(
                id=f"{HOST}#{number}",
                state=state,
                generation=generation,
                is_living=state in (State.STARTING, State.UP, State.STOPPING),
            )
            for number, (state, generation) in enumerate(workers, 1)
        ]
        forest = SimpleNamespace(
            children_of=lambda _pool: self.workers,
            children={HOST: self.pool},
            generations={f"{HOST}#{len(workers) + 1}": 6},
        )
        self.root = SimpleNamespace(
            tree=SimpleNamespace(child={HOST: self.pool}.get, forest=forest),
            directory=SimpleNamespace(put_promised=lambda _id, rows: self.rows.append(rows)),
            pools=SimpleNamespace(
                workers=lambda _host: [(f"{HOST}#{number}", 1, 0) for number in up]
            ),
            is_closing=False,
        )

    def promised(self) -> list[tuple[str, int]]:
        """Return what the directory is told."""
        Promises(cast("Any", self.root)).changed(HOST)
        return [(slot, generation) for slot, generation, _ in self.rows[-1]]


@pytest.mark.parametrize(
    ("state", "generation"),
    [(State.IDLE, 5), (State.BACKOFF, 5), (State.STARTING, 4)],
)
def test_a_worker_that_will_be_there_is_promised_with_its_next_generation(
    state: State, generation: int
) -> None:
    assert World([(state, 4)]).promised() == [(f"{HOST}#1", generation)]


def test_a_worker_that_is_slower_than_another_is_still_promised() -> None:
    world = World([(State.STARTING, 1), (State.UP, 1)], up=(2,))
    assert world.promised() == [(f"{HOST}#1", 1)]


@pytest.mark.parametrize("state", [State.UP, State.STOPPING, State.HELD])
def test_a_worker_that_is_there_or_is_not_to_come_is_not_promised(state: State) -> None:
    assert World([(state, 3)], up=(1,)).promised() == []


def test_a_pool_that_grows_from_nothing_promises_its_first_worker() -> None:
    assert World([]).promised() == [(f"{HOST}#1", 7)]


@pytest.mark.parametrize("state", [State.HELD, State.STOPPING])
def test_a_pool_that_is_not_to_run_promises_nothing(state: State) -> None:
    world = World([(State.IDLE, 0)])
    world.pool.state = state
    assert world.promised() == []


def test_a_node_that_is_closing_promises_nothing() -> None:
    world = World([(State.IDLE, 0)])
    world.root.is_closing = True
    assert world.promised() == []
>>>>>>> 6e9f303 (tmp)
