"""A root that does not answer: what calls of functions say, and when (time that the test moves)."""

from __future__ import annotations

import pytest

from wippy import funcs
from wippy.core import messages
from wippy.errors import Unavailable
from wippy.runtime.memory_node import MemoryNode, MemoryProcess
from wippy.testing import World


def deaf_to(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the root of the world take no notice of such frames."""
    below = MemoryNode.take

    def take(self: MemoryNode, process: MemoryProcess, data: bytes) -> None:
        if not isinstance(messages.from_process.decode(data), kind):
            below(self, process, data)

    monkeypatch.setattr(MemoryNode, "take", take)


async def double(number: int) -> int:
    return number * 2


def test_a_root_that_does_not_say_how_a_function_is_called_is_an_error_after_ten_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deaf_to(messages.WantFunction, monkeypatch)

    async def main(world: World) -> None:
        world.function("app:double", double)
        called = funcs.start("app:double", 2)
        await world.advance(9.9)
        assert not called.done
        await world.advance(0.2)
        with pytest.raises(Unavailable, match="has not said within 10 s how app:double is called"):
            await called

    World.run(main)


def test_a_pool_whose_worker_does_not_come_is_an_error_after_half_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deaf_to(messages.WantWorker, monkeypatch)
    monkeypatch.setattr(MemoryNode, "host", lambda _self, _host: None)

    async def main(world: World) -> None:
        world.function("app:double", double)
        called = funcs.with_options(timeout_s=0).start("app:double", 2)
        await world.advance(29.9)
        assert not called.done
        await world.advance(0.2)
        with pytest.raises(Unavailable, match=r"no worker of .* came up within 30 s"):
            await called

    World.run(main)
