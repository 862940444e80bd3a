from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from actors_world import ActorsWorld
from multiprocess.forkserver import ForkServer


@pytest.fixture
def world(forkserver: ForkServer, tmp_path: Path) -> Iterator[ActorsWorld]:
    """Actors without a supervisor; none is left after the test."""
    made = ActorsWorld(forkserver, tmp_path)
    yield made
    made.close()
