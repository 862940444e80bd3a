"""Real servers for the drivers, of each pytest worker its own; and a registry that tests write."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from resource_world import PASSWORD, UNPRIVILEGED, Server, WrittenRegistry, environ, need

from wippy.runtime import registry


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL with the databases `one` and `two`, which wants the password of `shop`."""
    for program in ("initdb", "postgres"):
        need(program, "psycopg")
    user = UNPRIVILEGED if os.geteuid() == 0 else None
    server = Server(
        lambda it: [
            "postgres", "-D", str(it.folder / "data"), "-p", str(it.port), "-k", str(it.folder),
            "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=30",
        ],
        "ready to accept connections",
        user,
    )  # fmt: skip
    secret = server.folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    initdb = ["initdb", "-D", str(server.folder / "data"), "-U", "shop", "-A", "scram-sha-256",
              "--pwfile", str(secret), "--no-sync", "-E", "UTF8", "--locale=C"]  # fmt: skip
    done = subprocess.run(
        initdb, user=user, cwd=server.folder, env=environ(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        server.start()
        _make_databases(server)
        yield server
    finally:
        server.remove()


def _make_databases(server: Server) -> None:
    import psycopg

    with psycopg.connect(
        host=server.host, port=server.port, user="shop", password=PASSWORD, dbname="postgres",
        autocommit=True,
    ) as connection:  # fmt: skip
        for name in ("one", "two"):
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]  # no input


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    """A Redis that wants a password."""
    need("redis-server", "redis")
    server = Server(
        lambda it: [
            "redis-server", "--port", str(it.port), "--bind", "127.0.0.1", "--save", "",
            "--unixsocket", str(it.folder / "s"), "--requirepass", PASSWORD,
        ],
        "Ready to accept connections",
        None,
    )  # fmt: skip
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> WrittenRegistry:
    """The registry of this process."""
    written = WrittenRegistry()
    monkeypatch.setattr(registry._Here, "reader", written)
    return written
