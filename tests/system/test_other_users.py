"""Actors with a user of their own (`user:`): they talk like all others, and can do no more."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from real_node import RealNode

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else"),
]

CONFIG = """
version: "1.0"
namespace: app
entries:
  - {name: pool, kind: process.host, workers: 1}
  - {name: low_pool, kind: process.host, workers: 1, user: nobody}
  - {name: echo, kind: process.py, source: "file://code.py", method: echo}
  - {name: asks, kind: process.py, source: "file://code.py", method: asks}
  - {name: looks, kind: process.py, source: "file://code.py", method: looks}
  - {name: who, kind: process.py, source: "file://code.py", method: who}
  - {name: uid, kind: function.py, source: "file://code.py", method: uid, host: low_pool}
  - {name: high, kind: process.service, process: echo, host: pool}
  - {name: low, kind: process.service, process: echo, user: daemon}
  - {name: asker, kind: process.service, process: asks, user: nobody,
     lifecycle: {requires: [high, low, low_pool]}}
  - {name: burglar, kind: process.service, process: looks, user: nobody,
     lifecycle: {requires: [high]}}
"""
CODE = """
import asyncio, os
from wippy import errors, events, registry, funcs, groups, process

async def echo():
    process.register("the " + process.id()[4:])
    groups.join("echoes")
    with events.subscribe("shop.*") as shop:
        await shop.ready()
        process.send(process.pid(), "subscribed")
        async for message in process.inbox():
            if message.reference:
                process.reply(message, [message.payload, os.getuid()])
            elif message.topic == "what was published":
                seen = await shop.receive()
                process.send(message.sender, "published", [seen.topic, seen.sender])

def who():
    return [os.getuid(), process.pid().split("/")[1].split(".")[0]]

def uid():
    return os.getuid()

async def asks():
    print("as", os.getuid(), flush=True)
    for target in ("app:high", "app:low", "the high", process.lookup("the low")):
        print(target.rpartition(":")[2] if "/" not in target else "pid",
              await process.call(target, "say", 1), flush=True)
    monitor = await groups.monitor("echoes")
    members = groups.members("echoes")
    print("members", len(members), sorted(members) == sorted(monitor.members), flush=True)
    events.publish("shop.open")
    for target in ("app:high", "app:low"):
        process.send(target, "what was published")
        message = await process.inbox().receive()
        print("seen", message.payload[0], message.payload[1] == process.pid(), flush=True)
    print("pooled", await process.exec("app:who", "app:pool"), flush=True)
    print("low pooled", await process.exec("app:who", "app:low_pool"), flush=True)
    print("own", (await process.exec("app:who"))[0], flush=True)
    print("function", await funcs.call("app:uid"), flush=True)
    process.monitor("app:high")
    process.terminate("the high")
    print((await process.events().receive()).kind, flush=True)
    print("again", await process.call("app:high", "say", 2), flush=True)
    print("done", flush=True)
    await asyncio.Event().wait()

async def looks():
    run = os.environ["WIPPY_RUN_DIR"]
    folder = run + "/m"
    assert await process.call("app:high", "say", 3) == [3, 0]
    attempts = {
        "list": lambda: os.listdir(folder),
        "pass": lambda: os.stat(folder + "/anything"),
        "run folder": lambda: os.listdir(run),
        "root": lambda: os.setuid(0),
    }
    for tid in os.listdir("/proc/self/task"):
        stand = f"/proc/self/task/{tid}/cwd"
        attempts["list " + tid] = lambda stand=stand: os.listdir(stand)
        attempts["make " + tid] = lambda stand=stand: open(stand + "/made", "w")
    try:
        print(registry.get("app:high"), flush=True)
    except errors.PermissionDenied as error:
        print("registry:", str(error)[:34], flush=True)
    try:
        print(await registry.changes().delete("app:who").apply(), flush=True)
    except errors.PermissionDenied as error:
        print("keeper:", str(error)[:34], flush=True)
    here = os.getcwd()
    allowed = []
    for name, attempt in attempts.items():
        try:
            attempt()
            allowed.append(name.split()[0])
        except PermissionError:
            pass
    print("allowed", sorted(set(allowed)), os.path.samefile(here, "."), flush=True)
    print("done", flush=True)
    await asyncio.Event().wait()
"""
ASKED = """\
as {nobody}
high [1, 0]
low [1, {daemon}]
the high [1, 0]
pid [1, {daemon}]
members 2 True
seen shop.open True
seen shop.open True
pooled [0, 'app:pool#1']
low pooled [{nobody}, 'app:low_pool#1']
own 0
function {nobody}
exit
again [2, 0]
done
"""


def started(node: Callable[..., RealNode]) -> RealNode:
    shop = node({"app.yaml": CONFIG, "code.py": CODE}, is_awaited=False)
    # The tests' folders are private: let the other users read the code.
    shop.folder.chmod(0o711)
    shop.config.chmod(0o755)
    return shop


def test_an_actor_of_another_user_talks_looks_up_spawns_and_publishes_like_all_others(
    node: Callable[..., RealNode],
) -> None:
    import pwd

    shop = started(node)
    shop.wait_view(lambda _view: "done" in shop.log("app:asker"))
    ids = {name: pwd.getpwnam(name).pw_uid for name in ("nobody", "daemon")}
    assert shop.log("app:asker") == ASKED.format(**ids)


def test_what_it_took_along_opens_nothing_else_to_it(node: Callable[..., RealNode]) -> None:
    shop = started(node)
    shop.wait_view(lambda _view: "done" in shop.log("app:burglar"))
    said = shop.log("app:burglar").splitlines()
    closed = "a process with a user of its own ("
    assert said == [f"registry: {closed}", f"keeper: {closed}", "allowed [] True", "done"]
    assert not [name for name in os.listdir(shop.run_dir / "m") if name == "made"]
    assert (shop.run_dir.stat().st_mode & 0o777) == 0o700
    assert ((shop.run_dir / "m").stat().st_mode & 0o777) == 0o711
