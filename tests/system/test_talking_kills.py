"""kill -9 of anybody while numbered messages flow: no gap between two that live, no duplicate, no
disorder, none after an EXIT.

Two senders, one with a process of its own and one in a pool, send numbers to one receiver. It
checks what it gets of each pid, monitors it, and writes into a journal what it has seen.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from real_node import DEADLINE_S, RealNode
from shops import entry, files

from supervisor.core.view import State

pytestmark = pytest.mark.system

ROUNDS = 4
TALK = """
import asyncio, os
from wippy import process
from wippy.errors import MailboxFull

FOLDER = os.path.dirname(os.environ["WIPPY_RUN_DIR"])

def note(*words):
    descriptor = os.open(FOLDER + "/journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, (" ".join(map(str, [process.pid(), *words])) + "\\n").encode())
    os.close(descriptor)

async def sender():
    number = 0
    while True:
        try:
            for _ in range(50):
                process.send("t:receiver", "number", number)
                number += 1
        except MailboxFull:
            await process.ready("t:receiver")
        await asyncio.sleep(0.002)

async def mark_ends():
    async for event in process.events():
        if event.kind == process.event.EXIT:
            # Behind all that lies in the mailbox now.
            process.send(process.pid(), "mark", [event.sender, str(event.exit)])
        else:
            os._exit(0)

async def receiver():
    ends = asyncio.create_task(mark_ends())
    last, over = {}, set()
    async for message in process.inbox():
        sender, number = message.sender, message.payload
        if message.topic == "mark":
            over.add(number[0])
            note("exit", *number)
            continue
        if sender in over:
            note("WRONG after its exit", sender, number)
        if number != last.get(sender, number - 1) + 1:
            note("WRONG number", sender, last[sender], number)
        if sender not in last:
            process.monitor(sender)
            note("begin", sender, number)
        if number // 1000 > last.get(sender, 0) // 1000:
            note("thousand", sender, number)
        last[sender] = number
"""


def talk() -> dict[str, str]:
    made = files(
        [
            entry("pool", kind="process.host", workers=1),
            *(
                entry(f"{name}.code", kind="process.py", source='"file://talk.py"', method=name)
                for name in ("sender", "receiver")
            ),
            entry("receiver", kind="process.service", process="receiver.code"),
            entry("own", kind="process.service", process="sender.code"),
            entry("pooled", kind="process.service", process="sender.code", host="pool"),
        ],
        "intensity: {max_restarts: 100000, within: 1s}",
    )
    return made | {"talk.py": TALK}


class Journal:
    """What the receivers have written, read on from where it was read last."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal"
        self.lines: list[list[str]] = []

    def wait(self, shop: RealNode, is_so: Callable[[list[list[str]]], bool]) -> None:
        """Wait until all lines together are as they should be."""

        def has_come(_view: object) -> bool:
            text = self._path.read_text() if self._path.exists() else ""
            self.lines = [line.split() for line in text.splitlines()]
            return is_so(self.lines)

        shop.wait_view(has_come, DEADLINE_S)

    def wrong(self) -> list[list[str]]:
        return [line for line in self.lines if line[1] == "WRONG"]


def flows(receiver: str, *senders: str, above: int = 1000) -> Callable[[list[list[str]]], bool]:
    """Say whether this receiver has had so many of each of these senders."""

    def is_so(lines: list[list[str]]) -> bool:
        had = {line[2] for line in lines if line[:2] == [receiver, "thousand"]}
        return had >= set(senders)

    return is_so


class Talk:
    """The node, and who is who in it."""

    def __init__(self, shop: RealNode) -> None:
        self.shop = shop
        self.journal = Journal(shop.folder)

    def pid(self, child: str) -> str:
        """Return the pid of an actor; the journal tells that of the one in the pool."""
        row = self.shop.row(child)
        return f"{self.shop.name}/{child}.{row.generation}/0"

    def wait_flow(self, *, of_pooled_but: frozenset[str] = frozenset()) -> str:
        """Wait until both senders are heard; return the pid of the one in the pool."""
        receiver, own = self.pid("t:receiver"), self.pid("t:own")
        self.journal.wait(self.shop, flows(receiver, own))
        found: list[str] = []

        def is_heard(lines: list[list[str]]) -> bool:
            found[:] = [
                line[2]
                for line in lines
                if line[:2] == [receiver, "thousand"] and "/t:pool#" in line[2]
            ]
            return bool(set(found) - of_pooled_but)

        self.journal.wait(self.shop, is_heard)
        return next(pid for pid in reversed(found) if pid not in of_pooled_but)

    def kill(self, child: str) -> None:
        """Kill its process, and wait until another one is up."""
        row = self.shop.row(child)
        os.kill(row.os_pid, signal.SIGKILL)
        self.shop.wait_row(
            child, lambda now: now.state is State.UP and now.generation > row.generation
        )

    def wait_exit(self, receiver: str, sender: str) -> None:
        """Wait for the EXIT event of a sender."""
        self.journal.wait(
            self.shop,
            lambda lines: [receiver, "exit", sender, "Signal(number=9)"] in lines,
        )


@pytest.fixture
def talking(node: Callable[..., RealNode]) -> Talk:
    made = Talk(node(talk()))
    made.wait_flow()
    return made


def test_killed_senders_are_told_of_and_their_successors_begin_anew(talking: Talk) -> None:
    for _ in range(ROUNDS):
        receiver, own = talking.pid("t:receiver"), talking.pid("t:own")
        pooled = talking.wait_flow()
        talking.kill("t:own")
        talking.wait_exit(receiver, own)
        talking.kill("t:pool#1")
        talking.wait_exit(receiver, pooled)
        talking.wait_flow(of_pooled_but=frozenset({pooled}))
    assert talking.journal.wrong() == []


def test_a_killed_receiver_is_followed_by_one_that_gets_what_comes_after(talking: Talk) -> None:
    for _ in range(ROUNDS):
        talking.kill("t:receiver")
        talking.wait_flow()
    assert talking.journal.wrong() == []


def test_nobody_who_talks_notices_the_death_of_keeper_and_forkserver(talking: Talk) -> None:
    before = [talking.shop.pid(it) for it in ("t:own", "t:receiver", "t:pool#1")]
    for _ in range(ROUNDS):
        for child in ("wippy:keeper", "wippy:forkserver"):
            talking.kill(child)
    receiver, own = talking.pid("t:receiver"), talking.pid("t:own")

    def thousands(lines: list[list[str]]) -> int:
        return sum(line[:3] == [receiver, "thousand", own] for line in lines)

    now = thousands(talking.journal.lines)
    talking.journal.wait(talking.shop, lambda lines: thousands(lines) > now + 1)
    assert [talking.shop.pid(it) for it in ("t:own", "t:receiver", "t:pool#1")] == before
    assert [line for line in talking.journal.lines if line[1] in ("WRONG", "exit")] == []


def test_after_a_killed_root_everybody_has_another_pid_and_all_goes_on(talking: Talk) -> None:
    """Pids of before can never mean anybody of after."""
    pids = {talking.pid("t:receiver"), talking.pid("t:own"), talking.wait_flow()}
    for number in range(2):
        os.kill(talking.shop.view().root_pid, signal.SIGKILL)
        talking.shop.wait_view(
            lambda view, number=number: view.root_starts == number + 2 and view.state == "running"
        )
        pooled = talking.wait_flow(of_pooled_but=frozenset(pids))
        new = {talking.pid("t:receiver"), talking.pid("t:own"), pooled}
        assert not new & pids
        pids |= new
    assert talking.journal.wrong() == []


def test_a_receiver_that_is_stopped_holds_its_senders_back_and_goes_on_without_a_loss(
    talking: Talk,
) -> None:
    """SIGSTOP is no end: nobody is restarted, memory stays as it is, and what waits arrives."""
    shop = talking.shop
    receiver, own = talking.pid("t:receiver"), talking.pid("t:own")
    stopped, sender = shop.pid("t:receiver"), shop.pid("t:own")
    os.kill(stopped, signal.SIGSTOP)
    try:
        shop.wait_row("t:receiver", lambda row: "stopped" in f"{row.state} {row.detail}".lower())
        before_kib = rss_kib(sender)
    finally:
        os.kill(stopped, signal.SIGCONT)
    now = len(talking.journal.lines)
    talking.journal.wait(
        shop, lambda lines: [receiver, "thousand", own] in [line[:3] for line in lines[now + 2 :]]
    )
    assert rss_kib(sender) - before_kib < 20_000
    assert (shop.pid("t:receiver"), shop.pid("t:own")) == (stopped, sender)
    assert [line for line in talking.journal.lines if line[1] in ("WRONG", "exit")] == []


def rss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(it.split()[1]) for it in lines if it.startswith("VmRSS"))
