"""`cache.redis`: one client of redis-py for all users of a process, with connections of its own."""

from __future__ import annotations

from typing import Any

import msgspec

from wippy.core.resources import Pooling
from wippy.errors import Invalid
from wippy.runtime.resources.drivers import Calls, Driver, need
from wippy.runtime.resources.secrets import find_password


class RedisSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an entry says of a Redis server.

    Attributes:
        host: Name, address, or the path of a Unix socket.
        port: Of the server.
        database: Its number.
        username: Who asks.
        password: Or better, since entries are stored and shown:
        password_env: The variable that has the password.
        password_file: The file that has it.
        tls: Whether to speak TLS.
        options: Further parameters of redis-py's connections: `decode_responses: true`,
            `socket_timeout: 2.5`, `ssl_ca_certs`, ...
    """

    host: str = "localhost"
    port: int = 6379
    database: int = 0
    username: str = ""
    password: str = ""
    password_env: str = ""
    password_file: str = ""
    tls: bool = False
    options: dict[str, Any] = {}

    def __str__(self) -> str:
        place = self.host if self.host.startswith("/") else f"{self.host}:{self.port}"
        return f"{place}/{self.database}"


async def _open(settings: RedisSettings, pooling: Pooling) -> Any:
    module = need("redis.asyncio", "redis")
    client = _client(module, need("redis", "redis"), settings, pooling)
    try:
        await client.ping()
    except BaseException:
        await client.aclose()
        raise
    return client


def _open_blocking(settings: RedisSettings, pooling: Pooling) -> Any:
    module = need("redis", "redis")
    client = _client(module, module, settings, pooling)
    try:
        client.ping()
    except BaseException:
        client.close()
        raise
    return client


def _client(faces: Any, redis: Any, settings: RedisSettings, pooling: Pooling) -> Any:
    given: dict[str, Any] = {
        "db": settings.database,
        "username": settings.username or None,
        "password": _password(settings) or None,
        "max_connections": pooling.max_connections,
        "timeout": pooling.acquire_timeout_s,
        "socket_connect_timeout": pooling.connect_timeout_s,
        # A command is sent once: whether an INCR is repeated is not for us to say.
        "retry": _never(faces, redis),
        **_place(faces, settings),
        **settings.options,
    }
    try:
        return faces.Redis.from_pool(faces.BlockingConnectionPool(**given))
    except TypeError as error:
        raise Invalid(f"options: {error}") from None


def _never(faces: Any, redis: Any) -> Any:
    retry = need(f"{faces.__name__}.retry", "redis").Retry
    return retry(need(f"{redis.__name__}.backoff", "redis").NoBackoff(), 0)


def _place(faces: Any, settings: RedisSettings) -> dict[str, Any]:
    connection = need(f"{faces.__name__}.connection", "redis")
    if settings.host.startswith("/"):
        return {
            "connection_class": connection.UnixDomainSocketConnection,
            "path": settings.host,
        }
    kind = connection.SSLConnection if settings.tls else connection.Connection
    return {"connection_class": kind, "host": settings.host, "port": settings.port}


def _password(settings: RedisSettings) -> str:
    return find_password(settings.password, settings.password_env, settings.password_file)


async def _check(client: Any) -> bool:
    return bool(await client.ping())


async def _close(client: Any) -> None:
    await client.aclose()


DRIVER = Driver(
    settings=RedisSettings,
    awaited=Calls(open=_open, close=_close, check=_check),
    blocking=Calls(
        open=_open_blocking,
        close=lambda client: client.close(),
        check=lambda client: bool(client.ping()),
    ),
    is_shared=True,
    secrets=lambda settings: [_password(settings)],
)
"""The driver of `cache.redis`."""
