"""The client of the control socket, against a root with real frames."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_root import VIEW, ControlRoot, answer_view, say_who_lives

from supervisor.core.facts import Fact, FactKind
from supervisor.core.requests import Answer, GetView, Reply, Stop, Subscribe, Verb, ViewAnswer
from supervisor.io.control_client import ControlClient
from supervisor.io.node_file import is_node_there, is_ours, read_node_file
from wippy.errors import Conflict, Invalid, NotFound, Timeout, Unavailable


@pytest.fixture
def living() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Make living processes with `living.append(sleeper())`; they end with the test."""
    made: list[subprocess.Popen[bytes]] = []
    yield made
    for process in made:
        process.kill()
        process.wait()


def sleeper(title: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()", title], stdin=subprocess.PIPE)


def fact(seq: int) -> Fact:
    return Fact(seq=seq, kind=FactKind.STARTING, id=f"app:{seq}")


def test_ask_returns_the_answer_of_the_root(short_dir: Path) -> None:
    with ControlRoot(short_dir), ControlClient(short_dir) as client:
        assert client.ask(GetView()) == ViewAnswer(VIEW)


def test_ask_says_who_asks(short_dir: Path) -> None:
    with ControlRoot(short_dir) as root, ControlClient(short_dir) as client:
        client.ask(GetView())
        assert "@" in root.requests[0].who


def test_a_failure_is_raised_as_the_class_it_had_at_the_root(short_dir: Path) -> None:
    def refuse(verb: Verb) -> Answer:
        raise Conflict("somebody was first")

    with ControlRoot(short_dir, refuse), ControlClient(short_dir) as client:
        with pytest.raises(Conflict, match="somebody was first"):
            client.ask(GetView())


def test_an_empty_folder_is_no_node(short_dir: Path) -> None:
    with pytest.raises(NotFound, match=r"no node at .* Start one: wippy-supervisor start configs/"):
        ControlClient(short_dir)


def test_the_socket_file_of_a_dead_node_is_no_node(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(short_dir / "root"))
    assert (short_dir / "root").exists()
    with pytest.raises(NotFound):
        ControlClient(short_dir)


def test_a_guardian_pid_that_came_to_mean_a_stranger_is_no_node(
    short_dir: Path, living: list[subprocess.Popen[bytes]]
) -> None:
    living.append(sleeper("stranger"))
    say_who_lives(short_dir, root_pid=0, guardian_pid=living[0].pid)
    assert not is_node_there(short_dir)


def test_a_guardian_between_two_roots_is_a_node(
    short_dir: Path, living: list[subprocess.Popen[bytes]]
) -> None:
    living.append(sleeper("wippy: guardian [shop]"))
    say_who_lives(short_dir, root_pid=0, guardian_pid=living[0].pid)
    # Its command line is there only once it has been executed.
    assert _eventually(lambda: is_node_there(short_dir))


def test_a_dead_process_is_not_ours() -> None:
    process = sleeper("wippy: guardian [shop]")
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_ours(process.pid)  # a zombie
    process.wait()
    assert not is_ours(process.pid)


def test_a_node_file_that_is_no_json_is_as_none(short_dir: Path) -> None:
    (short_dir / "node.json").write_text("{half")
    assert read_node_file(short_dir) is None


def test_a_path_too_long_for_a_socket_is_no_node(short_dir: Path) -> None:
    with pytest.raises(NotFound):
        ControlClient(short_dir / ("x" * 120))


def test_a_root_that_does_not_answer_is_a_timeout_that_says_what_may_be(short_dir: Path) -> None:
    with ControlRoot(short_dir, lambda verb: None), ControlClient(short_dir) as client:
        with pytest.raises(Timeout, match=r"did not answer within 0\.05 s; it may be busy"):
            client.ask(GetView(), timeout_s=0.05)


def test_a_node_that_goes_away_while_it_is_asked_ends_the_wait(short_dir: Path) -> None:
    root = ControlRoot(short_dir, lambda verb: None)
    with ControlClient(short_dir) as client:
        number = client.post(GetView())
        assert root.is_asked.wait(60)
        root.close()
        with pytest.raises(NotFound):
            client.ask(GetView(), timeout_s=60)
        assert number == 1


def test_malformed_frames_are_counted_and_skipped(short_dir: Path) -> None:
    with ControlRoot(short_dir) as root, ControlClient(short_dir) as client:
        root.send_garbage_first(b"", b"\xc1", b"\x93\x01\x02\x03")
        assert isinstance(client.ask(GetView()), ViewAnswer)
        assert client.bad_frames == 3


def test_drain_never_blocks_and_gives_replies_to_posts_in_order(short_dir: Path) -> None:
    with ControlRoot(short_dir), ControlClient(short_dir) as client:
        assert client.drain() == []
        posted = [client.post(Stop("app:db")), client.post(Stop("app:worker"))]
        assert [reply.id for reply in _drained(client, 2)] == posted


def test_ask_keeps_replies_to_earlier_posts_for_drain(short_dir: Path) -> None:
    with ControlRoot(short_dir), ControlClient(short_dir) as client:
        posted = client.post(Stop("app:db"))
        client.ask(GetView())
        assert [reply.id for reply in _drained(client, 1)] == [posted]


def test_fileno_wakes_a_poll_when_a_reply_comes(short_dir: Path) -> None:
    with ControlRoot(short_dir), ControlClient(short_dir) as client:
        client.post(GetView())
        assert len(_drained(client, 1)) == 1


def test_updates_give_each_fact_once_in_order(short_dir: Path) -> None:
    with ControlRoot(short_dir) as root, ControlClient(short_dir) as client:
        root.facts = (fact(1), fact(2), fact(3))
        updates = client.updates(Subscribe(since_seq=1))
        assert [it.seq for it in next(updates).facts] == [2, 3]


def test_updates_renew_and_do_not_repeat_what_was_seen(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.io.subscription.RENEW_S", 0.0)
    monkeypatch.setattr("supervisor.io.subscription.LOOK_S", 0.01)
    with ControlRoot(short_dir) as root, ControlClient(short_dir) as client:
        root.facts = (fact(1),)
        updates = client.updates(Subscribe(since_seq=0))
        assert [it.seq for it in next(updates).facts] == [1]
        root.facts = (fact(1), fact(2))
        assert [it.seq for it in next(updates).facts] == [2]
        renewed = [it.verb.since_seq for it in root.requests if isinstance(it.verb, Subscribe)]
        assert renewed[0] == 0
        assert renewed[-1] >= 1


def test_updates_survive_a_new_root_that_numbers_anew(
    short_dir: Path, living: list[subprocess.Popen[bytes]]
) -> None:
    living += [sleeper(), sleeper(), sleeper("wippy: guardian [shop]")]
    guardian = living[2].pid
    assert _eventually(lambda: is_ours(guardian))
    say_who_lives(short_dir, root_pid=living[0].pid, guardian_pid=guardian)
    first = ControlRoot(short_dir)
    first.facts = (fact(41), fact(42))
    with ControlClient(short_dir) as client:
        updates = client.updates(Subscribe(since_seq=0))
        assert [it.seq for it in next(updates).facts] == [41, 42]
        first.close()
        say_who_lives(short_dir, root_pid=living[1].pid, guardian_pid=guardian)
        with ControlRoot(short_dir) as second:
            second.facts = (fact(1), fact(2))
            assert [it.seq for it in next(updates).facts] == [1, 2]


def test_updates_end_when_the_node_is_gone(short_dir: Path) -> None:
    root = ControlRoot(short_dir)
    root.facts = (fact(1),)
    with ControlClient(short_dir) as client:
        updates = client.updates(Subscribe(since_seq=0))
        next(updates)
        root.close()
        assert list(updates) == []


def test_a_reading_verb_is_asked_again_of_a_new_root(
    short_dir: Path, living: list[subprocess.Popen[bytes]]
) -> None:
    with _replaced_root(short_dir, living) as client:
        assert isinstance(client.ask(GetView(), 60), ViewAnswer)


def test_a_command_is_not_repeated_to_a_new_root(
    short_dir: Path, living: list[subprocess.Popen[bytes]]
) -> None:
    with _replaced_root(short_dir, living) as client:
        with pytest.raises(Unavailable, match="it may have been done"):
            client.ask(Stop("app:db"), 60)


def test_close_returns_with_frames_that_nobody_reads(short_dir: Path) -> None:
    root = ControlRoot(short_dir)
    client = ControlClient(short_dir)
    root.close()
    for _ in range(100):
        client.post(GetView())
    begun_s = time.monotonic()
    client.close()
    assert time.monotonic() - begun_s < 30


def test_invalid_is_what_a_frame_over_the_limit_would_be() -> None:
    from supervisor.core.requests import to_client

    with pytest.raises(Invalid):
        to_client.decode(b"\x81")


class _replaced_root:
    """A client whose first request kills the root: the next one says it has another pid."""

    def __init__(self, run_dir: Path, living: list[subprocess.Popen[bytes]]) -> None:
        living += [sleeper(), sleeper()]
        self._pids = [it.pid for it in living[-2:]]
        self._run_dir = run_dir
        self._is_replaced = False
        say_who_lives(run_dir, root_pid=self._pids[0])

    def __enter__(self) -> ControlClient:
        self._root = ControlRoot(self._run_dir, self._answer)
        self._client = ControlClient(self._run_dir)
        return self._client

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._root.close()

    def _answer(self, verb: Verb) -> Answer | None:
        if self._is_replaced:
            return answer_view(verb)
        self._is_replaced = True
        say_who_lives(self._run_dir, root_pid=self._pids[1])
        return None


def _drained(client: ControlClient, count: int) -> list[Reply]:
    """Drain until `count` replies have come, waiting on the descriptor as a loop would."""
    poll = select.poll()
    poll.register(client.fileno(), select.POLLIN)
    replies = [it for it in client.drain() if isinstance(it, Reply)]
    deadline_s = time.monotonic() + 60
    while len(replies) < count:
        assert time.monotonic() < deadline_s
        poll.poll(1000)
        replies += [it for it in client.drain() if isinstance(it, Reply)]
    return replies


def _eventually(is_so: object, deadline_s: float = 60.0) -> bool:
    assert callable(is_so)
    end_s = time.monotonic() + deadline_s
    while not is_so():
        if time.monotonic() > end_s:
            return False
        os.sched_yield()
    return True
