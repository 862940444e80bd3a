"""Which workers of a pool the directory says are to come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

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
