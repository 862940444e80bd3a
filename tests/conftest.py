"""What all tests share: private short folders, real nodes, and proof that nothing is left."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from leftovers import MARK, end_leftovers
from real_node import RealNode

NODES: pytest.StashKey[list[RealNode]] = pytest.StashKey()
PURE = frozenset({"core"})
"""Folders whose tests start no process; looking for leftovers costs milliseconds a test."""


@pytest.fixture(autouse=True)
def nothing_left_running(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fail a test that leaves a process behind (found by a variable in its environment)."""
    if not PURE.isdisjoint(request.node.path.parts):
        yield
        return
    mark = f"{MARK}={uuid.uuid4().hex}"
    monkeypatch.setenv(*mark.split("="))
    yield
    left = end_leftovers([mark.encode()])
    assert not left, f"left running: {left}"


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A private folder with a path short enough for sockets (107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="w-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Iterator[Callable[..., RealNode]]:
    """Start real nodes: `shop = node({"app.yaml": ..., "workers.py": ...})`.

    Each is up when it is returned (`is_awaited=False`: only started). At the end of the test all
    are stopped, whatever state they are in, and nothing of them may be left.
    """
    nodes: list[RealNode] = request.node.stash.setdefault(NODES, [])

    def make(files: dict[str, str], **options: Any) -> RealNode:
        made = RealNode(files)
        nodes.append(made)
        made.start(**options)
        return made

    yield make
    left = [problem for it in nodes for problem in it.tear_down()]
    assert not left, "\n".join(left)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show what its nodes printed with a test that failed."""
    report = yield
    if report.failed:
        for it in item.stash.get(NODES, []):
            report.sections.append((f"output of node {it.name}", it.output()))
    return report


def pytest_configure() -> None:
    """Keep the tests' own nodes out of what the user of this machine runs."""
    os.environ.pop("WIPPY_RUN_DIR", None)
