"""Keepers and their folders."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from keeper_tools import Folders, KeeperProcess


@pytest.fixture
def folders() -> Iterator[Folders]:
    base = Path(tempfile.mkdtemp(prefix="w-"))
    yield Folders(base)
    shutil.rmtree(base)


@pytest.fixture
def keeper(folders: Folders) -> Iterator[Callable[..., KeeperProcess]]:
    """Start a keeper for `folders`; the test may start several."""
    started: list[KeeperProcess] = []

    def start(limit: int | None = None, **options: Any) -> KeeperProcess:
        started.append(KeeperProcess(folders.run, folders.state, limit=limit, **options))
        return started[-1]

    yield start
    for one in started:
        one.clean_up()
