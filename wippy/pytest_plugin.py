"""pytest: the fixture `world`, and `async def` tests that have it.

    async def test_it_greets(world):
        greeter = world.spawn(greet)
        ...

Registered as an entry point of pytest; a fixture `world` of the tests' own wins over it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from wippy.testing import World


@pytest.fixture
def world() -> Iterator[World]:
    """A world of `wippy.testing`, closed after the test."""
    with World() as made:
        yield made


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test that has a world in that world; leave all others alone."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function):
        return None
    names = inspect.signature(function).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names if name in pyfuncitem.funcargs}
    made = next((value for value in arguments.values() if isinstance(value, World)), None)
    if made is None:
        return None
    made.complete(function(**arguments))
    return True
