"""What the forkserver unpickles in a fresh fork: the one object that crosses the inherited pipe.

multiprocess's forkserver reads two pickles from the pipe that it inherits from the root (never
from a socket): preparation data, which we leave empty so that `__main__` is not run again, and an
object whose `_bootstrap` is the child's whole life. This class is that object.
"""

from __future__ import annotations

import importlib


class Newborn:
    """A process to be: `birth` is an encoded `wippy.core.messages.Birth`."""

    def __init__(self, birth: bytes) -> None:
        self.birth = birth

    def _bootstrap(self, parent_sentinel: int) -> int:
        """Live; return the exit status (called by `multiprocess.spawn._main`)."""
        run = importlib.import_module("wippy.runtime.boot").run
        status: int = run(self.birth, parent_sentinel)
        return status
