"""Policies on a real node: an agent that may write its own namespace and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from fake_root import turns
from real_node import RealNode

YAML = """
version: "1.0"
namespace: app
entries:
  - name: agents
    kind: security.policy
    actions: [registry.*, process.send]
    resources: ["app.generated:*", "app:boss"]
    effect: allow
    groups: [agents]
  - name: readers
    kind: security.policy
    actions: registry.get
    resources: "*"
    effect: allow
    conditions: [{field: kind, operator: eq, value: registry.entry}]
    groups: [agents]
  - {name: frozen, kind: security.policy, actions: registry.*, resources: "app.generated:frozen",
     effect: deny, groups: [agents]}
  - {name: db, kind: registry.entry, data: {port: 1}}
  - {name: pool, kind: process.host}
  - {name: agent_code, kind: process.py, source: "file://agent.py", method: agent}
  - {name: child_code, kind: process.py, source: "file://agent.py", method: child}
  - {name: boss_code, kind: process.py, source: "file://agent.py", method: boss}
  - {name: write, kind: function.py, source: "file://agent.py", method: write, host: pool}
  - name: agent
    kind: process.service
    process: agent_code
    security: {actor: {id: agent-7, meta: {team: red}}, groups: [agents], strict: true}
  - {name: pooled, kind: process.service, process: agent_code, host: pool,
     security: {actor: agent-8, groups: [agents], strict: true},
     lifecycle: {auto_start: false}}
  - {name: boss, kind: process.service, process: boss_code}
"""
AGENT = """
from wippy import funcs, process, registry, security
from wippy.errors import WippyError
from wippy.runtime import context

def say(*words):
    print(*words, flush=True)

async def tried(what):
    try:
        say("done", await what)
    except WippyError as error:
        say(error.kind, str(error).splitlines()[0])

def attempt(what, *args):
    try:
        what(*args)
    except WippyError as error:
        say(error.kind, error)
    else:
        say("allowed")

async def write(entry_id):
    return await registry.changes().create(entry_id, data={}).apply()

async def agent():
    me = security.actor()
    say(me.id, me.meta, me.is_strict)
    mine = "app.generated:" + process.id().partition(":")[2]
    await tried(registry.changes().create(mine, data={"x": 1}).apply())
    await tried(registry.changes().update(mine, data={"x": 2}).apply())
    await tried(registry.changes().update("app:db", data={}).apply())
    await tried(registry.changes().create("app.generated:frozen").apply())
    both = registry.changes().create("app.generated:half").update("app:db", data={})
    await tried(both.apply())
    say("app.generated:half" in registry.snapshot())
    service = registry.changes().create("app.generated:free", kind="process.service",
                                        data={"process": "app:boss_code"})
    await tried(service.apply())
    say(registry.get("app:db").port, [each.id for each in registry.find(namespace="app")])
    attempt(registry.get, "app:boss")
    attempt(process.send, "app:boss", "hello")
    attempt(process.send, "app:other", "hello")
    attempt(process.spawn, "app:child_code")
    await tried(funcs.call("app:write", "app:z"))
    say(security.can("registry.create", "app.generated:q"), security.can("shop.refund", "app:x"))
    # A process that says that it is somebody else is who the root made it.
    here = context.current()
    here.identity = None
    await tried(write("app:stolen"))
    await process.inbox().receive()

async def child():
    say(security.actor().id)
    await tried(write("app.generated:child"))
    await tried(write("app:child"))
    await process.inbox().receive()

async def boss():
    say(security.actor().id)
    await process.inbox().receive()
    say("got it")
    await tried(write("app:mine"))
    with security.with_actor("less", groups=["agents"]):
        say(security.actor().id, security.can("registry.get", "app:boss"))
        await tried(write("app:other"))
        await tried(write("app.generated:less"))
        await tried(funcs.call("app:write", "app:by_function"))
        await tried(process_child())
    await tried(funcs.call("app:write", "app:by_function"))
    await process.inbox().receive()

async def process_child():
    with security.with_actor(groups=["agents", "spawners"]):
        attempt(process.spawn, "app:child_code")
    with security.with_actor("tiny", groups=["agents"], is_strict=False):
        attempt(process.spawn, "app:child_code")
"""

EXPECTED = [
    "done {first}",
    "done {second}",
    "permission_denied {me} may not registry.update app:db: none of its policies allows it "
    "(group agents)",
    "permission_denied {me} may not registry.create app.generated:frozen: app:frozen denies it",
    "permission_denied {me} may not registry.update app:db: none of its policies allows it "
    "(group agents)",
    "False",
    "permission_denied {me} may not security.grant app.generated:free: none of its policies "
    "allows it (group agents)",
    "1 {seen}",
    "allowed",
    "allowed",
    "permission_denied {me} may not process.send app:other: none of its policies allows it "
    "(group agents)",
    "permission_denied {me} may not process.spawn app:child_code: none of its policies allows it "
    "(group agents)",
    "permission_denied {me} may not funcs.call app:write: none of its policies allows it "
    "(group agents)",
    "True False",
    "permission_denied {me} may not registry.create app:stolen: none of its policies allows it "
    "(group agents)",
]


def wait_lines(node: RealNode, child: str, count: int) -> list[str]:
    lines: list[str] = []
    for _ in turns():
        lines = node.log(child).splitlines()
        if len(lines) >= count:
            break
    return lines


def expected(me: str, first: int, seen: list[str]) -> list[str]:
    return [line.format(me=me, first=first, second=first + 1, seen=seen) for line in EXPECTED]


@pytest.mark.system
def test_an_agent_writes_its_namespace_and_nothing_else_alone_and_in_a_pool(
    node: Callable[..., RealNode],
) -> None:
    shop = node({"app.yaml": YAML, "agent.py": AGENT})
    alone = wait_lines(shop, "app:agent", 16)
    assert alone[0] == "agent-7 {'team': 'red'} True"
    assert alone[1:] == expected("agent-7", 2, ["app:boss", "app:db"])
    narrow = "less may not registry.create app:other: none of its policies allows it (group agents)"
    calls = "less may not funcs.call app:write: none of its policies allows it (group agents)"
    spawns = "less may not process.spawn app:child_code: none of its policies allows it"
    assert wait_lines(shop, "app:boss", 11) == [
        "app:boss",
        "got it",
        "done 4",
        "less True",
        f"permission_denied {narrow}",
        "done 5",
        f"permission_denied {calls}",
        f"permission_denied {spawns} (group agents, group spawners)",
        f"permission_denied {spawns} (group agents)",
        "done None",
        "done 6",
    ]
    # The next keeper asks the root anew who is who.
    os.kill(shop.pid("wippy:keeper"), signal.SIGKILL)
    assert shop.cli("start", "app:pooled").returncode == 0
    pooled = wait_lines(shop, "app:pooled", 16)
    seen = ["app:boss", "app:by_function", "app:db", "app:mine"]
    assert pooled == ["agent-8 {} True", *expected("agent-8", 7, seen)]


RUNTIME = """
version: "1.0"
runtime: {security: strict}
"""
STRICT = """
version: "1.0"
namespace: app
entries:
  - {name: all, kind: security.policy, actions: "*", resources: "*", effect: allow, groups: [admin]}
  - {name: quiet, kind: security.policy, actions: process.send, resources: "*", effect: deny,
     conditions: [{field: payload.loud, operator: eq, value: true}], groups: [admin]}
  - {name: main_code, kind: process.py, source: "file://strict.py", method: main}
  - {name: plain_code, kind: process.py, source: "file://strict.py", method: plain}
  - {name: thief_code, kind: process.py, source: "file://strict.py", method: thief}
  - {name: main, kind: process.service, process: main_code, security: {groups: [admin]}}
  - {name: plain, kind: process.service, process: plain_code}
  - {name: thief, kind: process.service, process: thief_code}
"""
STRICT_CODE = """
import os
from wippy import process, registry, security
from wippy.errors import WippyError
from wippy.runtime import context

def say(*words):
    print(*words, flush=True)

async def tried(what):
    try:
        say("done", await what)
    except WippyError as error:
        say(error.kind, str(error).splitlines()[0])

def attempt(what, *args):
    try:
        what(*args)
    except WippyError as error:
        say(error.kind, error)
    else:
        say("allowed")

async def plain():
    attempt(process.send, "app:main", "x")
    attempt(registry.get, "app:all")
    await tried(registry.changes().create("app:a").apply())
    await process.inbox().receive()

async def thief():
    here = context.current()
    for credential in (b"", os.urandom(16)):
        here.credential = credential
        await tried(registry.changes().create("app:a").apply())
    await process.inbox().receive()

async def main():
    target = process.pid()
    hidden = {"actions": "registry.get", "resources": "app:hidden", "effect": "deny",
              "groups": ["admin"]}
    await registry.changes().create("app:hide", kind="security.policy", data=hidden).apply()
    watch = registry.watch("app:*")
    await registry.changes().create("app:hidden").create("app:shown").apply()
    async for change in watch:
        say(change.id)
        break
    attempt(process.send, target, "ping", {"loud": False})
    attempt(process.send, target, "ping", {"loud": True})
    await tried(registry.changes().create("app:b").apply())
    deny = {"actions": "process.send", "resources": "*", "effect": "deny", "groups": ["admin"]}
    changes = registry.changes().create("app:mute", kind="security.policy", data=deny)
    await tried(changes.apply())
    attempt(process.send, target, "ping", {"loud": False})
    await tried(registry.changes().delete("app:mute").apply())
    attempt(process.send, target, "ping", {"loud": False})
    nobody = {"actions": "*", "resources": "*", "effect": "deny", "groups": ["everyone"]}
    await tried(registry.changes().create("app:no", kind="security.policy", data=nobody).apply())
    await tried(registry.changes().update("app:all", data={"actions": "process.*",
        "resources": "*", "effect": "allow", "groups": ["admin"]}).apply())
    await process.inbox().receive()
    await process.inbox().receive()
    await process.inbox().receive()
"""


@pytest.mark.system
def test_in_strict_mode_what_nobody_allows_is_denied_and_policies_change_live(
    node: Callable[..., RealNode],
) -> None:
    shop = node({"wippy.yaml": RUNTIME, "app.yaml": STRICT, "strict.py": STRICT_CODE})
    none = "it has no policies, and what none allows is denied"
    assert wait_lines(shop, "app:plain", 3) == [
        f"permission_denied app:plain may not process.send app:main: {none}",
        f"permission_denied app:plain may not registry.get app:all: {none}",
        f"permission_denied app:plain may not registry.create app:a: {none}",
    ]
    nobody = "permission_denied the registry is not changed for nobody: "
    assert wait_lines(shop, "app:thief", 2) == [
        f"{nobody}it shows no credential",
        f"{nobody}its credential is nobody's (any more)",
    ]
    way_back = "no actor could change it back; only an operator may do that, who forces it"
    lines = wait_lines(shop, "app:main", 10)
    assert lines == [
        "app:shown",
        "allowed",
        "permission_denied app:main may not process.send app:main: app:quiet denies it",
        "done 4",
        "done 5",
        "permission_denied app:main may not process.send app:main: app:mute denies it",
        "done 6",
        "allowed",
        f"invalid after this change of app:no {way_back}",
        f"invalid after this change of app:all {way_back}",
    ]
    # An operator is bound by nobody's policies; the command line asks through the root.
    made = shop.cli("registry", "set", "app:note", "--kind", "registry.entry", "x=1")
    assert made.returncode == 0, made.stderr
