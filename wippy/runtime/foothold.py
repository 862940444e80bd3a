"""What a process takes along when it gives up the runtime's rights (`user:`): the way to others.

The sockets of all processes are in a folder that nobody else gets to: the run folder above it is
the runtime's user's own. The folder itself may be passed through, and its sockets be written to,
by whoever stands in it already; it cannot be listed, nothing in it can be made or removed. So a
process that is to have another user stands there before: ZeroMQ's threads, which make all
connections, have it as their working folder, and reach the others by relative paths. The rest of
the process has its own working folder, and cannot open the folder again.

Linux: threads share a working folder with the thread that made them, until one says
`unshare(CLONE_FS)`, which takes no privilege (unshare(2)).
"""

from __future__ import annotations

import ctypes
import os
import threading

import zmq

from wippy.errors import Unavailable

HERE = "."
"""The folder of the sockets, as the threads of such a context see it."""
_CLONE_FS = 0x200


def context_in(folder: str) -> zmq.Context[zmq.Socket[bytes]]:
    """Return a context whose threads stand in `folder`, whatever the caller's working folder is.

    Raises:
        Unavailable: It cannot be entered, or the kernel refuses.
    """
    made: list[zmq.Context[zmq.Socket[bytes]]] = []
    failed: list[OSError] = []

    def make() -> None:
        try:
            _part_from_others()
            os.chdir(folder)
        except OSError as error:
            failed.append(error)
            return
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        # A context makes its threads with its first socket.
        context.socket(zmq.PUSH).close(0)
        made.append(context)

    thread = threading.Thread(target=make, name="foothold")
    thread.start()
    thread.join()
    if failed:
        raise Unavailable(f"cannot take along the way to other processes: {failed[0]}")
    return made[0]


def _part_from_others() -> None:
    """Give the calling thread a working folder of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_FS) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "unshare(CLONE_FS)")
