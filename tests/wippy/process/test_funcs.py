"""Calls of functions between real processes, without a supervisor."""

from __future__ import annotations

import os
import signal

import pytest
import zmq
from actors_world import ActorsWorld

from wippy.core import framing, wire
from wippy.core.backoff import Backoff
from wippy.core.ids import socket_name
from wippy.core.reasons import Signal
from wippy.core.retry import RetryPolicy

SETUP = "from wippy import channel, errors, funcs, process, sync, time\nimport threading\n"
POOL, WORKER, SECOND = "app:pool", "app:pool#1", "app:pool#2"


@pytest.fixture
def pool(world: ActorsWorld) -> ActorsWorld:
    """A pool of one worker."""
    world.start_worker(POOL)
    world.put_host(POOL, (WORKER, 1, 0))
    return world


def function(world: ActorsWorld, name: str, text: str, **options: object) -> None:
    world.define_function(name, SETUP + text, POOL, **options)


def caller(world: ActorsWorld, text: str, slot: str = "app:caller") -> None:
    world.start_actor(slot, SETUP + "async def main():\n" + text + "    print('end', flush=True)\n")


def heard(world: ActorsWorld, slot: str = "app:caller") -> list[str]:
    return world.wait_line(slot, "end")[:-1]


def test_arguments_and_results_are_data_and_errors_name_the_place(pool: ActorsWorld) -> None:
    function(pool, "app:echo", "async def main(*args): return list(args)\n")
    function(pool, "app:bad", "def main(): return {'rows': [1, {2}]}\n")
    caller(
        pool,
        "    print(await funcs.call('app:echo', 1, None, {'a': [b'x', 2.5]}))\n"
        "    try: await funcs.call('app:echo', 1, {'a': [object()]})\n"
        "    except TypeError as error: print(error)\n"
        "    try: await funcs.call('app:bad')\n"
        "    except errors.Invalid as error: print(error)\n"
        "    for bad in (-1, 'x', float('nan'), True):\n"
        "        try: funcs.start('app:echo', timeout_s=bad)\n"
        "        except errors.Invalid as error: print(error.kind)\n"
        "    for bad in (0, True, 'x'):\n"
        "        try: funcs.start('app:echo', retry=bad)\n"
        "        except errors.Invalid as error: print(error.kind)\n",
    )
    assert heard(pool) == [
        "[1, None, {'a': [b'x', 2.5]}]",
        'args[1]["a"][0]: an object object',
        'what it returned is no data: result["rows"][1]: a set; send a list',
        *["invalid"] * 7,
    ]


def test_what_a_function_raises_arrives_with_type_traceback_and_whether_to_repeat(
    pool: ActorsWorld,
) -> None:
    function(
        pool,
        "app:fails",
        "class Refused(Exception): pass\n"
        "def main(how):\n"
        "    if how == 'own': raise errors.NotFound('no such row')\n"
        "    if how == 'exit': raise SystemExit(3)\n"
        "    raise Refused('no: ' + how)\n",
        retry=RetryPolicy(attempts=1, non_retryable=("Refused",)),
    )
    caller(
        pool,
        "    for how, policy in (('a', None), ('b', 1), ('own', None), ('exit', None)):\n"
        "        try: await funcs.call('app:fails', how, retry=policy)\n"
        "        except errors.WippyError as error:\n"
        "            print(error.kind, getattr(error, 'type', ''), error.retryable, error)\n"
        "            if how == 'a': print('raise' in error.traceback, error.__notes__[0][3:13])\n"
        "    try: await funcs.call('app:fails')\n"
        "    except errors.Invalid as error: print(error)\n",
    )
    assert heard(pool) == [
        "failed app:fails.Refused False app:fails.Refused: no: a",
        "True app:fails:",
        "failed app:fails.Refused True app:fails.Refused: no: b",
        "not_found  False no such row",
        "failed SystemExit True it called sys.exit: exited with status 3",
        "app:fails: the arguments do not fit: main(): missing a required argument: 'how'",
    ]


def test_context_values_travel_with_calls_within_calls(pool: ActorsWorld) -> None:
    function(pool, "app:outer", "async def main(): return await funcs.call('app:inner')\n")
    function(pool, "app:inner", "def main(): return [process.values(), process.id()]\n")
    caller(pool, "    print(await funcs.with_options(context={'who': 'me'}).call('app:outer'))\n")
    assert heard(pool) == ["[{'who': 'me'}, 'app:inner']"]


def test_an_attempt_that_takes_too_long_is_cancelled_in_its_worker(pool: ActorsWorld) -> None:
    function(
        pool,
        "app:slow",
        "async def main():\n"
        "    try: await asyncio.Event().wait()\n"
        "    finally: print('cancelled', flush=True)\n",
        timeout_s=1.0,  # its code must be loaded within it, on a busy machine too
    )
    caller(
        pool,
        "    try: await funcs.call('app:slow')\n"
        "    except errors.Timeout as error: print(error, error.retryable)\n",
    )
    assert heard(pool) == ["app:slow has not returned within 1 s True"]
    pool.wait_line(WORKER, "cancelled")


def test_a_call_within_a_call_has_no_more_time_than_the_outer_one(pool: ActorsWorld) -> None:
    function(pool, "app:outer", "async def main(): await funcs.call('app:inner', timeout_s=0)\n")
    function(
        pool,
        "app:inner",
        "from wippy.runtime.context import current\n"
        "async def main():\n"
        "    left_s = current().call.deadline_s - asyncio.get_running_loop().time()\n"
        "    print('bounded', 0 < left_s <= 30, current().call.depth, flush=True)\n",
    )
    caller(pool, "    await funcs.call('app:outer', timeout_s=30)\n")
    heard(pool)
    pool.wait_line(WORKER, "bounded True 1")


def test_attempts_follow_the_policy_and_stop_at_what_it_names(pool: ActorsWorld) -> None:
    function(
        pool,
        "app:flaky",
        "tries = []\n"
        "def main(limit):\n"
        "    tries.append(1)\n"
        "    if len(tries) < limit: raise KeyError(len(tries))\n"
        "    raise ValueError(len(tries))\n",
        retry=RetryPolicy(5, Backoff(initial_delay_s=0.0), ("ValueError",)),
    )
    caller(
        pool,
        "    try: await funcs.call('app:flaky', 3)\n"
        "    except errors.Failed as error: print(error, error.retryable, error.__notes__[1])\n"
        "    policy = funcs.RetryPolicy(2, funcs.Backoff(initial_delay_s=0.0))\n"
        "    try: await funcs.call('app:flaky', 9, retry=policy)\n"
        "    except errors.Failed as error: print(error, error.retryable)\n",
    )
    assert heard(pool) == [
        "ValueError: 3 False attempt 3 of 5 of app:flaky",
        "KeyError: 5 True",
    ]


WAITS = "async def main():\n    print('begun', flush=True)\n    try: await asyncio.Event().wait()\n"
WAITS += "    finally: print('cancelled', flush=True)\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            "    call = asyncio.create_task(funcs.call('app:waits'))\n"
            "    await asyncio.to_thread(input_)\n    call.cancel()\n",
            id="its task is cancelled",
        ),
        pytest.param(
            "    future = funcs.start('app:waits')\n"
            "    await asyncio.to_thread(input_)\n    future.cancel('enough')\n"
            "    try: await future\n"
            "    except errors.Cancelled as error: print(error)\n",
            id="its future is cancelled",
        ),
        pytest.param(
            "    funcs.start('app:waits')\n    await asyncio.to_thread(input_)\n    return\n",
            id="the actor returns",
        ),
    ],
)
def test_a_call_that_is_given_up_is_cancelled_in_its_worker(pool: ActorsWorld, text: str) -> None:
    function(pool, "app:waits", WAITS)
    go = pool.folder / "go"
    os.mkfifo(go)
    pool.start_actor(
        "app:caller",
        f"{SETUP}def input_(): open({str(go)!r}).read()\nasync def main():\n{text}"
        "    print('end', flush=True)\n    await asyncio.Event().wait()\n",
    )
    pool.wait_line(WORKER, "begun")
    go.write_text("")
    pool.wait_line(WORKER, "cancelled")
    if "enough" in text:
        assert heard(pool) == ["the call of app:waits was cancelled: enough"]


def test_a_worker_that_is_killed_is_retried_on_another(pool: ActorsWorld) -> None:
    first = pool._living[WORKER, 1]
    function(
        pool,
        "app:dies",
        "async def main():\n"
        "    print('begun', flush=True)\n"
        "    if '#1' in process.pid(): await asyncio.Event().wait()\n"
        "    return process.pid().split('/')[1]\n",
        retry=RetryPolicy(2, Backoff(initial_delay_s=0.0)),
    )
    caller(pool, "    print(await funcs.call('app:dies', timeout_s=0))\n")
    pool.wait_line(WORKER, "begun")
    pool.start_worker(POOL, 2)
    pool.put_host(POOL, (SECOND, 1, 0))
    os.kill(first.pid, signal.SIGSTOP)  # it cannot answer any more
    pool.kill_child(first, Signal(9))
    assert heard(pool) == ["app:pool#2.1"]


def test_functions_that_call_themselves_end_with_an_error_and_no_deadlock(
    pool: ActorsWorld,
) -> None:
    function(pool, "app:rec", "async def main(): return await funcs.call('app:rec')\n")
    function(
        pool,
        "app:down",
        "def main(left): return left and sync.funcs.call('app:down', left - 1) + 1\n",
    )
    caller(
        pool,
        "    try: await funcs.call('app:rec')\n"
        "    except errors.Invalid as error: print(error)\n"
        "    print(await funcs.call('app:down', 60))\n",
    )
    assert heard(pool) == [
        "app:rec: calls within calls, 64 deep: a function that calls itself without an end?",
        "60",
    ]


def test_no_more_plain_functions_run_at_once_than_there_are_threads(pool: ActorsWorld) -> None:
    function(
        pool,
        "app:busy",
        "import time as clock\n"
        "lock, running, most = threading.Lock(), [0], [0]\n"
        "gate = threading.Barrier(32)\n"
        "def main():\n"
        "    with lock: running[0] += 1; most[0] = max(most[0], running[0])\n"
        "    gate.wait(60)\n"
        "    with lock: running[0] -= 1\n"
        "    return most[0]\n",
    )
    caller(
        pool,
        "    calls = [funcs.start('app:busy') for _ in range(96)]\n"
        "    print(max([await call for call in calls]))\n",
    )
    assert heard(pool) == ["32"]


def test_a_future_can_be_selected_awaited_again_and_asked(pool: ActorsWorld) -> None:
    function(pool, "app:two", "async def main(): return 2\n")
    function(pool, "app:waits", WAITS)
    caller(
        pool,
        "    future, other = funcs.start('app:two'), funcs.start('app:waits')\n"
        "    try: future.result()\n"
        "    except errors.Unavailable: print('not yet', future.done)\n"
        "    chosen = await channel.select(other.case_done(), future.case_done())\n"
        "    print(chosen.index, future.done, future.result(), await future, await future)\n",
    )
    assert heard(pool) == ["not yet False", "1 True 2 2 2"]


def test_plain_actors_call_and_wait_for_futures_in_their_threads(pool: ActorsWorld) -> None:
    function(pool, "app:double", "def main(x): return x * 2\n")
    function(pool, "app:waits", WAITS)
    pool.start_actor(
        "app:caller",
        SETUP + "def main():\n"
        "    print(sync.funcs.call('app:double', 4))\n"
        "    futures = [funcs.start('app:double', n) for n in range(3)]\n"
        "    print([sync.funcs.result(future) for future in futures])\n"
        "    late = funcs.start('app:waits')\n"
        "    try: sync.funcs.result(late, timeout='10ms')\n"
        "    except errors.Timeout as error: print(error)\n"
        "    print('end', flush=True)\n",
    )
    assert heard(pool) == ["8", "[0, 2, 4]", "app:waits has not returned within 10ms"]


def test_a_full_worker_refuses_and_forged_frames_change_nothing(pool: ActorsWorld) -> None:
    function(pool, "app:echo", "async def main(x): return x\n")
    head = framing.frame_head(1, "test", "app:forger", 1)
    items = [
        wire.Invoke("app:echo", 1, 7, [1], cost=-5, left_s=-1.0, depth=-9),
        wire.Invoke("no id", 1, 8, []),
        wire.Returned(3, "forged"),
        wire.CancelCall(99),
    ]
    context = zmq.Context()
    with context.socket(zmq.PUSH) as socket:
        socket.connect(f"ipc://{pool.message_dir}/{socket_name(WORKER, 1)}")
        socket.send(framing.whole_frame(head, [framing.item(item) for item in items]))
        socket.close(linger=10_000)
    context.term()
    caller(
        pool,
        "    huge = 'x' * 3_000_000\n"
        "    calls = [funcs.start('app:echo', huge) for _ in range(12)]\n"
        "    kinds = []\n"
        "    for call in calls:\n"
        "        try: kinds.append(len(await call))\n"
        "        except errors.Unavailable as error: print(error); break\n"
        "    print(await funcs.call('app:echo', 1))\n",
    )
    lines = heard(pool)
    assert lines[-1] == "1"
