"""`node.json` in the run folder: which node this is and which processes it is made of.

`start` writes it without pids, the guardian puts in its own and each root's. Clients read it to
tell a node that is down from a root that is being replaced.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

NAME = "node.json"
BLUEPRINT = "blueprint.msgpack"
"""The whole configuration, in the run folder: what `start` leaves for every root."""
SOCKET = "root"
OUR_TITLES = (b"wippy", b"supervisor.root.guardian")
"""What the command line of a guardian holds; a pid used again by a stranger does not."""


class NodeFile(msgspec.Struct, frozen=True, kw_only=True):
    """What `node.json` says; folders are absolute, a pid is 0 until it is known.

    `log_format` is `text` or `json`: how the root writes its lines.
    """

    node: str
    source: str = ""
    state_dir: str = ""
    run_dir: str = ""
    log_dir: str = ""
    guardian_pid: int = 0
    root_pid: int = 0
    log_format: str = "text"


def read_node_file(run_dir: Path) -> NodeFile | None:
    """Return what the node file of `run_dir` says; None if there is none that can be read."""
    try:
        return msgspec.json.decode((run_dir / NAME).read_bytes(), type=NodeFile)
    except (OSError, msgspec.DecodeError):
        return None


def write_node_file(run_dir: Path, node: NodeFile) -> None:
    """Replace the node file of `run_dir` in one step: a reader never sees half of it."""
    replace_file(run_dir / NAME, msgspec.json.encode(node) + b"\n")


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` (mode 0600) at `path` in one step; raises `OSError`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
    draft.rename(path)


def is_node_there(run_dir: Path) -> bool:
    """Say whether a node lives in `run_dir`: its guardian is alive, or its root listens.

    ZeroMQ connects to a dead path without an error and waits for ever, so this is asked first.
    A root that is just being replaced does not listen, but has a guardian; a root whose guardian
    was killed listens until it has stopped the tree.
    """
    node = read_node_file(run_dir)
    if node is not None and is_ours(node.guardian_pid):
        return True
    return is_listening(run_dir / SOCKET)


def is_listening(path: Path) -> bool:
    """Say whether a process accepts connections at the Unix socket `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True  # its backlog is full: a frozen root, but a root
        except OSError:
            return False
    return True


def is_ours(pid: int) -> bool:
    """Say whether `pid` is a living process of a node (a zombie has no command line)."""
    if pid <= 0:
        return False
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return any(title in command for title in OUR_TITLES)
