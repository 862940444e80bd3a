"""A node's registry, as a command reaches it: read from the state folder, changed by the keeper."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from supervisor.cli.node import connected, find_run_dir, stopped_node
from supervisor.core.keeping import ApplyChanges, ApplyVersion, Committed, ForgetVersions, Forgotten
from supervisor.core.requests import ChangeRegistry
from supervisor.io.node_file import NodeFile, read_node_file
from supervisor.io.state_reader import StateReader
from wippy.core.codec import MAX_FRAME_BYTES, encode
from wippy.errors import Internal, Invalid, NotFound

ANSWER_TIMEOUT_S = 75.0
MAX_REQUEST_BYTES = MAX_FRAME_BYTES - 4096
"""Of a change: it goes to the root in one frame, with an envelope."""


@dataclass(frozen=True, slots=True)
class Where:
    """Which node is meant: `--run-dir` and `--config`."""

    run_dir: Path | None = None
    config: Path | None = None


@contextlib.contextmanager
def reading(where: Where) -> Iterator[StateReader]:
    """Open the registry of a node that runs, or has run; `NotFound` if there is none."""
    reader = StateReader(Path(_node(where).state_dir))
    try:
        yield reader
    finally:
        reader.close()


def change(where: Where, request: ApplyChanges | ApplyVersion) -> Committed:
    """Have the node change its registry, as an operator may; on the disk when this returns.

    Raises:
        NotFound: The node does not run.
        Invalid: It is larger than a frame, or wrong.
        WippyError: What the keeper answers.
    """
    done = _ask(where, request)
    if not isinstance(done, Committed):
        raise Internal(f"the root answered a change of the registry with {done!r}")
    return done


def forget(where: Where, keep: int) -> Forgotten:
    """Have all versions but the last `keep` forgotten; raises as `change`."""
    done = _ask(where, ForgetVersions(keep))
    if not isinstance(done, Forgotten):
        raise Internal(f"the root answered a request to forget with {done!r}")
    return done


def author() -> str:
    """Return how the versions that this command makes are signed."""
    return f"cli:{getpass.getuser()}"


def _ask(
    where: Where, request: ApplyChanges | ApplyVersion | ForgetVersions
) -> Committed | Forgotten:
    size_bytes = len(encode(request))
    if size_bytes > MAX_REQUEST_BYTES:
        raise Invalid(f"the change has {size_bytes} bytes; at most {MAX_REQUEST_BYTES} go")
    with connected(where.run_dir, where.config) as client:
        answer = client.ask(ChangeRegistry(request), ANSWER_TIMEOUT_S)
    if not isinstance(answer, Committed | Forgotten):
        raise Internal(f"the root answered {type(answer).__name__} to a change of the registry")
    return answer


def _node(where: Where) -> NodeFile:
    try:
        found = read_node_file(find_run_dir(where.run_dir, where.config))
    except NotFound as error:
        with contextlib.suppress(NotFound):
            return stopped_node(where.run_dir, where.config)
        raise error from None  # it lists the nodes that run, where there are several
    return found or stopped_node(where.run_dir, where.config)
