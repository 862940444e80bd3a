"""What an OS process may use and as whom it runs, seen from inside the processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from real_node import RealNode
from shops import entry, files

from supervisor.core.view import State
from wippy.core.reasons import MemoryLimit

pytestmark = pytest.mark.system

ACTORS = '''
import asyncio, os, resource, signal
from wippy import process

async def eats():
    """Eat 200 MiB on SIGUSR1."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
    await told.wait()
    food = bytearray(os.urandom(2**20)) * 200
    await asyncio.Event().wait()

async def tells():
    mask = os.umask(0)
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.nice(0), oct(mask),
          os.environ["GREETING"], os.getcwd(), os.getuid(), os.environ["HOME"], sep="|", flush=True)
    await asyncio.Event().wait()
'''
SHELL = (
    'echo "$(ulimit -n)|$(nice)|0o$(umask | tail -c 3)|$GREETING|$(pwd)|$(id -u)|$HOME"; '
    "echo told; while :; do sleep 1; done"
)


def test_an_actor_that_eats_too_much_memory_is_stopped_and_started_again(
    node: Callable[..., RealNode],
) -> None:
    code = entry("code", kind="process.py", source='"file://eats.py"', method="eats")
    limited = entry("limited", kind="process.service", process="code", memory="128MiB")
    free = entry("free", kind="process.service", process="code")
    shop = node(files([code, limited, free]) | {"eats.py": ACTORS})
    for id_ in ("t:limited", "t:free"):
        shop.cli("kill", id_, "-s", "USR1", "--yes")
    row = shop.wait_row("t:limited", lambda row: row.generation == 2 and row.state is State.UP)
    assert isinstance(row.last_exit, MemoryLimit)
    assert row.last_exit.limit_bytes == 128 * 2**20
    assert row.last_exit.used_bytes > 128 * 2**20
    assert "128 MiB allowed" in shop.cli("why", "t:limited").stdout
    shop.wait_row("t:free", lambda row: (row.memory_bytes or 0) > 200 * 2**20)
    assert shop.row("t:free").generation == 1


def test_limits_hold_for_actors_and_programs_alike(node: Callable[..., RealNode]) -> None:
    own = {
        "open_files": "200",
        "nice": "3",
        "umask": '"0027"',
        "env": '{GREETING: "hello"}',
        "cwd": ".",
    }
    is_root = os.getuid() == 0
    if is_root:
        own["user"] = "nobody"
    readiness = '{log: "told"}'
    code = entry("code", kind="process.py", source='"file://tells.py"', method="tells")
    actor = entry("actor", kind="process.service", process="code", **own)
    command = json.dumps(["sh", "-c", SHELL])
    program = entry("program", kind="exec.service", command=command, readiness=readiness, **own)
    shop = node(files([code, actor, program]) | {"tells.py": ACTORS}, is_awaited=False)
    # The tests' folders are private: let the other user pass.
    for folder in (shop.folder, shop.config):
        folder.chmod(0o711 if folder == shop.folder else 0o755)
    shop.wait_view(lambda view: view.state == "running")
    uid, home = str(os.getuid()), os.environ["HOME"]
    if is_root:
        import pwd

        nobody = pwd.getpwnam("nobody")
        uid, home = str(nobody.pw_uid), nobody.pw_dir
    nice = str(os.nice(0) + 3)
    expected = f"200|{nice}|0o27|hello|{shop.config}|{uid}|{home}"
    for id_ in ("t:actor", "t:program"):
        shop.wait_view(lambda _view, id_=id_: "|hello|" in shop.log(id_))
        assert expected in shop.log(id_).splitlines()
        assert Path(shop.row(id_).log_path).stat().st_uid == os.getuid()
