"""Foreign programs are READY when their probe says so, and not before; all kinds, for real."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable

import pytest
from real_node import RealNode
from shops import entry, files

from supervisor.core.view import NodeView, State

pytestmark = pytest.mark.system

PROGRAM = '''
"""Runs, and becomes ready in the way of its argument once a file `go-WAY` is there."""
import os, socket, sys, time

way, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
open("runs-" + way, "w").close()

def has_gone():
    return os.path.exists("go-" + way)

def wait():
    while not has_gone():
        time.sleep(0.01)

def serve(answer):
    listener = socket.create_server((address, port))
    while True:
        connection, _ = listener.accept()
        with connection:
            answer(connection)

def http(connection):
    connection.recv(4096)
    status = b"204 No Content" if has_gone() else b"503 Service Unavailable"
    connection.sendall(b"HTTP/1.1 " + status + b"\\r\\nConnection: close\\r\\n\\r\\n")

if way == "http":
    serve(http)
wait()
if way == "notify":
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(b"STATUS=well\\nREADY=1\\n", os.environ["NOTIFY_SOCKET"])
elif way == "log":
    print("serving at last", flush=True)
elif way == "tcp":
    serve(lambda connection: None)
while True:
    time.sleep(1000)
'''
WAYS = ("notify", "tcp", "http", "log", "exec")


def state_of(view: NodeView, way: str) -> State:
    return next(row.state for row in view.rows if row.id == f"t:{way}")


def test_a_program_is_ready_when_its_probe_passes_and_not_before(
    node: Callable[..., RealNode],
) -> None:
    # Addresses of its own, so that no parallel test can have the port.
    address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"
    probes = {
        "notify": "notify",
        "tcp": f'{{tcp: "{address}:7001"}}',
        "http": f'{{http: "http://{address}:7002/health"}}',
        "log": '{log: "serving .* last"}',
        "exec": "{exec: [test, -e, go-exec]}",
    }
    ports = {"tcp": 7001, "http": 7002}
    programs = [
        entry(
            way,
            kind="exec.service",
            command=f"[{sys.executable}, program.py, {way}, {address}, '{ports.get(way, 0)}']",
            cwd=".",
            readiness=probes[way],
            lifecycle="{start_timeout: 100s, stop_timeout: 0s}",
        )
        for way in WAYS
    ]
    top = entry("s", kind="supervisor", start="parallel", children=f"[{', '.join(WAYS)}]")
    shop = node(
        files([top, *programs], "start_parallel: 8") | {"program.py": PROGRAM}, is_awaited=False
    )
    shop.wait_view(
        lambda view: (
            all((shop.config / f"runs-{way}").exists() for way in WAYS)
            and all(state_of(view, way) is State.STARTING for way in WAYS)
        )
    )
    waiting = set(WAYS)
    for way in WAYS:
        (shop.config / f"go-{way}").touch()
        waiting.remove(way)
        view = shop.wait_view(lambda view, way=way: state_of(view, way) is State.UP)
        assert {it for it in WAYS if state_of(view, it) is State.STARTING} == waiting
    shop.wait_view(lambda view: view.state == "running")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_an_exec_probe_runs_as_the_user_of_its_service(node: Callable[..., RealNode]) -> None:
    program = entry(
        "it",
        kind="exec.service",
        command="[sleep, '1000']",
        user="nobody",
        readiness='{exec: [sh, -c, "test $(id -un)$USER = nobodynobody"]}',
    )
    shop = node(files([program]))
    assert shop.row("t:it").state is State.UP
