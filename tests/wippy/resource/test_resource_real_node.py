"""Connections in a real node, to real servers: swapped while actors of all kinds use them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from fake_root import turns
from real_node import RealNode
from resource_world import PASSWORD, Server

WORKERS = """
import asyncio
from wippy import process, resource, sync

db = resource.of("app:db")
cache = resource.of("app:cache")

async def where():
    async with db.acquire() as connection:
        found = await connection.execute("SELECT current_database()")
        return (await found.fetchone())[0]

async def teller():
    async for message in process.inbox():
        if message.topic == "where":
            process.reply(message, await where())
        elif message.topic == "crash":
            async with db.acquire() as connection:
                await connection.execute("INSERT INTO orders VALUES (666)")
                raise RuntimeError("in the middle of it")
        elif message.topic == "hold":
            # A long transaction: begun before the change, ended after it.
            async with db.acquire() as connection:
                await connection.execute("INSERT INTO orders VALUES (%s)", [message.payload])
                process.reply(message, "begun")
                second = await process.inbox().receive()
                found = await connection.execute("SELECT current_database()")
                process.reply(second, [(await found.fetchone())[0], await where()])
        elif message.topic == "cached":
            async with cache.acquire() as client:
                process.reply(message, await client.incr("seen"))

def clerk():
    for message in sync.inbox():
        with sync.acquire("app:db") as connection:
            found = connection.execute("SELECT current_database()").fetchone()[0]
            process.reply(message, found)

def stuck():
    with sync.acquire("app:tight"):
        print("has it", flush=True)
        try:
            with sync.acquire("app:tight", timeout="1h"):
                print("impossible", flush=True)
        finally:
            print("was told to stop", flush=True)
"""


def yaml(postgres: Server, redis_server: Server) -> str:
    place = f"host: 127.0.0.1, port: {postgres.port}, user: shop, password_env: SHOP_PASSWORD"
    return f"""
version: "1.0"
namespace: app
entries:
  - {{name: db, kind: registry.entry, meta: {{type: db.sql.postgres}},
     data: {{{place}, database: one, pool: {{max: 2}}}}}}
  - {{name: tight, kind: registry.entry, meta: {{type: db.sql.postgres}},
     data: {{{place}, database: one, pool: {{max: 1}}}}}}
  - {{name: cache, kind: registry.entry, meta: {{type: cache.redis}},
     data: {{host: 127.0.0.1, port: {redis_server.port}, password_env: SHOP_PASSWORD,
            pool: {{check_after: 0s}}}}}}
  - {{name: pool, kind: process.host}}
  - {{name: c.teller, kind: process.py, source: "file://workers.py", method: teller}}
  - {{name: c.clerk, kind: process.py, source: "file://workers.py", method: clerk}}
  - {{name: c.stuck, kind: process.py, source: "file://workers.py", method: stuck}}
  - {{name: alone, kind: process.service, process: c.teller}}
  - {{name: one, kind: process.service, process: c.teller, host: pool}}
  - {{name: two, kind: process.service, process: c.teller, host: pool}}
  - {{name: three, kind: process.service, process: c.teller, host: pool}}
  - {{name: clerk, kind: process.service, process: c.clerk}}
  - {{name: stuck, kind: process.service, process: c.stuck, lifecycle: {{auto_start: false}}}}
"""


@pytest.fixture
def shop(
    node: Callable[..., RealNode],
    postgres: Server,
    redis_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> RealNode:
    """A node whose actors have connections; the table `orders` of `one` is empty."""
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    with admin(postgres) as connection:
        connection.execute("DROP TABLE IF EXISTS orders")
        connection.execute("CREATE TABLE orders (n int)")
    return node({"app.yaml": yaml(postgres, redis_server), "workers.py": WORKERS})


def admin(server: Server) -> Any:
    import psycopg

    return psycopg.connect(
        host=server.host, port=server.port, user="shop", password=PASSWORD, dbname="one",
        autocommit=True,
    )  # fmt: skip


def ask(node: RealNode, target: str, topic: str, payload: str = "null") -> str:
    done = node.cli("call", target, topic, payload)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def wait_backends(server: Server, database: str, count: int) -> None:
    """Wait until so many connections of others lead to a database: the server's own view."""
    found = -1
    with admin(server) as connection:
        for _ in turns():
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = %s "
                "AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
                [database],
            ).fetchone()[0]
            if found == count:
                return
    raise AssertionError(f"{found} connections to {database}, not {count}")


@pytest.mark.system
def test_a_changed_entry_moves_new_work_and_no_process_is_restarted(
    shop: RealNode, postgres: Server
) -> None:
    everybody = ("app:alone", "app:one", "app:two", "app:three", "app:clerk")
    assert [ask(shop, who, "where") for who in everybody] == ['"one"'] * 5
    pids = {row.id: (row.os_pid, row.generation) for row in shop.view().rows}
    # One process each, and one for the three of the pool: they share theirs.
    wait_backends(postgres, "one", 3)
    assert ask(shop, "app:alone", "hold", "17") == '"begun"'

    assert shop.cli("registry", "set", "app:db", "database=two").returncode == 0
    assert [ask(shop, who, "where") for who in everybody[1:]] == ['"two"'] * 4
    wait_backends(postgres, "one", 1)
    with admin(postgres) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone()[0] == 0

    # The long transaction is still where it began; what its actor begins now is not.
    assert ask(shop, "app:alone", "where").split() == ["[", '"one",', '"two"', "]"]
    wait_backends(postgres, "one", 0)
    with admin(postgres) as connection:
        assert connection.execute("SELECT n FROM orders").fetchall() == [(17,)]
    assert {row.id: (row.os_pid, row.generation) for row in shop.view().rows} == pids


@pytest.mark.system
def test_an_actor_that_crashes_in_a_block_is_rolled_back_and_its_pool_goes_on(
    shop: RealNode, postgres: Server
) -> None:
    assert ask(shop, "app:one", "where") == '"one"'
    assert shop.cli("send", "app:one", "crash", "null").returncode == 0
    shop.wait_row("app:one", lambda row: row.restarts == 1 and row.state == "up")
    assert [ask(shop, who, "where") for who in ("app:one", "app:two")] == ['"one"', '"one"']
    wait_backends(postgres, "one", 1)
    with admin(postgres) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone()[0] == 0


@pytest.mark.system
def test_a_killed_process_leaves_no_connection_and_the_next_one_opens_its_own(
    shop: RealNode, postgres: Server
) -> None:
    assert ask(shop, "app:alone", "where") == '"one"'
    wait_backends(postgres, "one", 1)
    os.kill(shop.pid("app:alone"), signal.SIGKILL)
    wait_backends(postgres, "one", 0)
    assert ask(shop, "app:alone", "where") == '"one"'


@pytest.mark.system
def test_a_server_that_is_restarted_costs_no_actor_its_life(
    shop: RealNode, postgres: Server, redis_server: Server
) -> None:
    assert ask(shop, "app:alone", "cached") == "1"
    assert ask(shop, "app:alone", "where") == '"one"'
    for server in (postgres, redis_server):
        server.stop()
        server.start()
    shop_pid = shop.pid("app:alone")
    assert shop.cli("registry", "set", "app:db", "pool.check_after=0").returncode == 0
    assert ask(shop, "app:alone", "where") == '"one"'
    assert ask(shop, "app:alone", "cached") == "1"
    assert shop.pid("app:alone") == shop_pid


@pytest.mark.system
def test_an_actor_that_waits_for_a_connection_stops_when_it_is_asked_to(
    shop: RealNode, postgres: Server
) -> None:
    assert shop.cli("start", "app:stuck").returncode == 0
    for _ in turns():
        if "has it" in shop.log("app:stuck"):
            break
    assert shop.cli("stop", "app:stuck", "--yes").returncode == 0
    assert shop.log("app:stuck").splitlines()[:2] == ["has it", "was told to stop"]
    assert shop.row("app:stuck").state == "stopped"
    wait_backends(postgres, "one", 0)


@pytest.mark.system
def test_the_end_of_the_node_closes_everything(shop: RealNode, postgres: Server) -> None:
    assert [ask(shop, who, "where") for who in ("app:alone", "app:one")] == ['"one"'] * 2
    ask(shop, "app:clerk", "where")
    assert shop.stop() == 0
    wait_backends(postgres, "one", 0)
    assert "could not be closed" not in shop.output()
