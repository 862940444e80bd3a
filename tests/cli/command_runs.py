"""A command that was run, as the tests of the command line see it.

Not in conftest.py: of several of these only one can be imported by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Ran(NamedTuple):
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]
