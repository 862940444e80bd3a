"""`db.sql.postgres`: connections of psycopg, which live up to the end of a block as it says.

A block that ends well commits; one that is left by an error rolls back.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from wippy.core.resources import Pooling
from wippy.errors import Invalid
from wippy.runtime.resources.drivers import Calls, Driver, need
from wippy.runtime.resources.secrets import find_password

_CLOSE_TIMEOUT_S = 5.0


class PostgresSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry says of a database; what is empty is as libpq has it (PGHOST, ~/.pgpass ...).

    Attributes:
        host: Name, address, or the folder of a Unix socket.
        port: Of the server.
        database: Its name.
        user: Who asks.
        password: Or better, since entries are stored and shown:
        password_env: The variable that has the password.
        password_file: The file that has it.
        options: Further parameters of psycopg's `connect`: `autocommit: true`, `sslmode: require`,
            `application_name`, ...
    """

    host: str = ""
    port: int = 5432
    database: str = ""
    user: str = ""
    password: str = ""
    password_env: str = ""
    password_file: str = ""
    options: dict[str, Any] = {}

    def __str__(self) -> str:
        database = f"/{self.database}" if self.database else ""
        return f"{self.host or 'localhost'}:{self.port}{database}"


async def _open(settings: PostgresSettings, pooling: Pooling) -> Any:
    psycopg = need("psycopg", "postgres")
    parameters = _parameters(settings, pooling)
    try:
        # libpq's own time-out counts whole seconds, and each address of a name.
        async with asyncio.timeout(pooling.connect_timeout_s):
            return await psycopg.AsyncConnection.connect(**parameters)
    except psycopg.ProgrammingError as error:
        raise Invalid(f"options: {error}") from None


def _open_blocking(settings: PostgresSettings, pooling: Pooling) -> Any:
    psycopg = need("psycopg", "postgres")
    try:
        return psycopg.Connection.connect(**_parameters(settings, pooling))
    except psycopg.ProgrammingError as error:
        raise Invalid(f"options: {error}") from None


def _parameters(settings: PostgresSettings, pooling: Pooling) -> dict[str, Any]:
    given = {
        "host": settings.host,
        "port": settings.port,
        "dbname": settings.database,
        "user": settings.user,
        "password": _password(settings),
        # 1 would be taken as 2, and 0 waits for ever.
        "connect_timeout": max(2, round(pooling.connect_timeout_s)),
    }
    return {name: value for name, value in given.items() if value != ""} | settings.options


def _password(settings: PostgresSettings) -> str:
    return find_password(settings.password, settings.password_env, settings.password_file)


async def _check(connection: Any) -> bool:
    if connection.closed:
        return False
    # So that the question, the shortest that makes a round trip, begins no transaction.
    is_autocommit = connection.autocommit
    await connection.set_autocommit(True)
    await connection.execute("")
    await connection.set_autocommit(is_autocommit)
    return True


def _check_blocking(connection: Any) -> bool:
    if connection.closed:
        return False
    is_autocommit = connection.autocommit
    connection.autocommit = True
    connection.execute("")
    connection.autocommit = is_autocommit
    return True


async def _finish(connection: Any, is_good: bool) -> bool:
    # A commit on a connection that was lost raises, as it must: nothing is committed.
    await (connection.commit() if is_good else connection.rollback())
    return not connection.closed


def _finish_blocking(connection: Any, is_good: bool) -> bool:
    (connection.commit if is_good else connection.rollback)()
    return not connection.closed


async def _close(connection: Any) -> None:
    async with asyncio.timeout(_CLOSE_TIMEOUT_S):
        await connection.close()


DRIVER = Driver(
    settings=PostgresSettings,
    awaited=Calls(open=_open, close=_close, check=_check, finish=_finish),
    blocking=Calls(
        open=_open_blocking,
        close=lambda connection: connection.close(),
        check=_check_blocking,
        finish=_finish_blocking,
    ),
    secrets=lambda settings: [_password(settings)],
)
"""The driver of `db.sql.postgres`."""
