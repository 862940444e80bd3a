"""`cache.redis` against a real Redis: one client for all, swapped when its entry changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from resource_world import PASSWORD, Server, WrittenRegistry, free_port, run

from wippy import resource
from wippy.errors import Invalid, Unavailable

CACHE = resource.of("app:cache")


def put(entries: WrittenRegistry, server: Server, database: int = 0, **more: Any) -> None:
    given = {
        "host": server.host, "port": server.port, "password": PASSWORD, "database": database,
        "options": {"decode_responses": True},
    }  # fmt: skip
    entries.put("app:cache", "cache.redis", **given | more)


def test_all_users_of_a_process_share_one_client(
    redis_server: Server, entries: WrittenRegistry
) -> None:
    async def main() -> None:
        put(entries, redis_server)
        async with CACHE.acquire() as one, CACHE.acquire() as two:
            assert one is two
            await one.set("shared", "yes")
            assert await two.get("shared") == "yes"
            assert CACHE.usage() == resource.Usage(open=1, users=2, generation=1)

    run(main())


def test_the_old_client_is_closed_when_its_last_user_is_done(
    redis_server: Server, entries: WrittenRegistry
) -> None:
    async def main() -> None:
        put(entries, redis_server, 0)
        async with CACHE.acquire() as old:
            async with CACHE.acquire():
                await old.set("where", "zero")
                put(entries, redis_server, 1)
                async with CACHE.acquire() as new:
                    assert await new.get("where") is None
                assert CACHE.usage().open == 2
            assert await old.get("where") == "zero"
            assert CACHE.usage() == resource.Usage(open=2, users=1, generation=2)
        async with CACHE.acquire() as newest:
            assert newest is new
            assert CACHE.usage().open == 1
            # The server's own view; `run` ends this where the old client stays.
            while any(client["db"] == "0" for client in await newest.client_list()):
                pass

    run(main())


def test_a_server_that_was_restarted_is_used_again(
    redis_server: Server, entries: WrittenRegistry
) -> None:
    async def main() -> None:
        put(entries, redis_server, pool={"check_after": 0})
        async with CACHE.acquire() as client:
            await client.set("a", "1")
        redis_server.stop()
        with pytest.raises(Unavailable, match=f"{redis_server.host}:{redis_server.port}/0"):
            async with CACHE.acquire():
                pass
        redis_server.start()
        async with CACHE.acquire() as client:
            assert await client.get("a") is None

    run(main())


def test_forty_users_of_a_client_of_two_connections_wait_for_each_other(
    redis_server: Server, entries: WrittenRegistry
) -> None:
    async def main() -> None:
        put(entries, redis_server, pool={"max": 2})

        async def count() -> None:
            async with CACHE.acquire() as client:
                await client.incr("counted")

        async with CACHE.acquire() as client:
            await client.delete("counted")
            await asyncio.gather(*(count() for _ in range(40)))
            assert await client.get("counted") == "40"
            assert len(await client.client_list()) <= 3

    run(main())


def test_a_wrong_password_and_a_closed_port_are_told_with_the_place_alone(
    redis_server: Server, entries: WrittenRegistry
) -> None:
    async def main() -> None:
        put(entries, redis_server, password="swordfish")
        with pytest.raises(Unavailable, match=r"app:cache .*cannot be opened") as failed:
            async with CACHE.acquire():
                pass
        assert "swordfish" not in str(failed.value) + failed.value.traceback
        port = free_port()
        put(entries, redis_server, port=port)
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
            async with CACHE.acquire():
                pass

    run(main())


def test_an_unknown_option_is_invalid(redis_server: Server, entries: WrittenRegistry) -> None:
    async def main() -> None:
        put(entries, redis_server, options={"decode_response": True})
        with pytest.raises(Invalid, match="decode_response"):
            async with CACHE.acquire():
                pass

    run(main())


def test_threads_get_the_blocking_client_and_a_unix_socket_is_a_path(
    redis_server: Server, entries: WrittenRegistry
) -> None:
    async def main() -> None:
        put(entries, redis_server, host=str(redis_server.folder / "s"))
        borrowing = resource.Borrowing("app:cache", None)
        client = await borrowing.take()

        def work() -> Any:
            client.set("from", "a thread")
            value = client.get("from")
            borrowing.finish()
            return value

        assert await asyncio.to_thread(work) == "a thread"

    run(main())


def test_without_its_package_the_error_says_what_to_install(
    entries: WrittenRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redis.asyncio", None)

    async def main() -> None:
        entries.put("app:cache", "cache.redis")
        with pytest.raises(Invalid, match=r"pip install 'wippy-supervisor\[redis\]'"):
            async with CACHE.acquire():
                pass

    run(main())
