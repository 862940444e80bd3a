from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_root import FakeRoot, start_forkserver
from multiprocess.forkserver import ForkServer


@pytest.fixture(scope="session")
def forkserver() -> Iterator[ForkServer]:
    """One forkserver for all tests of this pytest worker."""
    server = start_forkserver()
    yield server
    server._stop()


@pytest.fixture
def root(forkserver: ForkServer, tmp_path: Path) -> Iterator[FakeRoot]:
    """A root whose children are gone after the test."""
    fake = FakeRoot(forkserver, tmp_path)
    yield fake
    fake.close()
