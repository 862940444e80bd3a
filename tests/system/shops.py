"""Configurations and actors that the system tests share.

Every actor writes what happens to it into one journal, a line with one `write`, so the order of
the lines is the order of events as the children themselves saw it; and it holds a lock on its id,
so that a second living copy of an id would show as a `twin` line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ACTORS = '''
import asyncio, fcntl, os, signal, sys, time
from wippy import process

FOLDER = os.path.dirname(os.environ["WIPPY_RUN_DIR"])
LOCKS = []

def note(what):
    line = f"{what} {process.id()} {os.getpid()} {process.pid()}\\n"
    descriptor = os.open(FOLDER + "/journal", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode())
    os.close(descriptor)

def begin():
    lock = open(FOLDER + "/" + process.id().replace(":", "."), "a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("twin")
    LOCKS.append(lock)
    note("start")

async def worker():
    """Obey."""
    begin()
    async for event in process.events():
        break
    note("stop")

async def stubborn():
    """Never obey."""
    begin()
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            note("ignored")

async def ender(how):
    """End as told on a signal: one for each way, since a worker may run several."""
    begin()
    told = asyncio.Event()
    number = {"exit 3": signal.SIGUSR2, "raise": signal.SIGHUP}.get(how, signal.SIGUSR1)
    asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
    note("end")
    if how == "raise":
        raise ValueError("told to")
    if how == "exit 3":
        sys.exit(3)

async def fails():
    """Never become ready: the code cannot even be entered."""
    begin()
    raise RuntimeError("cannot work like this")

async def blocks():
    """Block the event loop on SIGUSR1."""
    begin()
    def block():
        note("block")
        while True:
            time.sleep(1)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, block)
    await asyncio.Event().wait()
'''


def entry(name: str, **fields: object) -> str:
    """Return one entry of a YAML list; values are written as they are."""
    lines = [f"  - name: {name}"]
    lines += [f"    {key}: {value}" for key, value in fields.items()]
    return "\n".join(lines)


def service(name: str, method: str = "worker", **fields: object) -> str:
    """Return the two entries of an actor: its code and its service."""
    code = entry(f"{name}.code", kind="process.py", source='"file://actors.py"', method=method)
    return f"{code}\n{entry(name, kind='process.service', process=f'{name}.code', **fields)}"


def files(entries: Iterable[str], runtime: str = "") -> dict[str, str]:
    """Return the files of a configuration in the namespace `t`."""
    head = 'version: "1.0"\nnamespace: t\nentries:\n'
    wippy = f'version: "1.0"\nruntime: {{spares: 1, {runtime}}}\n'
    return {
        "t.yaml": head + "\n".join(entries) + "\n",
        "wippy.yaml": wippy,
        "actors.py": ACTORS,
    }


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the journal: what happened to which id, in which OS process."""

    what: str
    id: str
    os_pid: int
    pid: str

    @property
    def generation(self) -> int:
        """The generation, as the actor's own pid says it."""
        return int(self.pid.rsplit("/", 1)[0].rsplit(".", 1)[1])


def journal(folder: Path) -> list[Line]:
    """Return what the actors have written into the journal in `folder`."""
    path = folder / "journal"
    if not path.exists():
        return []
    lines = [line.split() for line in path.read_text().splitlines()]
    return [Line(what, id_, int(os_pid), pid) for what, id_, os_pid, pid in lines]
