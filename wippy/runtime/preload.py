"""Imported once by the forkserver: all that a child will need is then in the image it forks.

`multiprocess` swallows imports that fail and ignores `sys.path` (3.11), so a fork says in its
`Hello` whether this module was there. The environment tells what to do:

    WIPPY_FORKSERVER=1      this is a forkserver: take its title, preload, freeze
    WIPPY_NODE=name         for the title
    WIPPY_PRELOAD=a,b.c     user modules to import ahead
    WIPPY_SOURCES=/a.py     source files to compile ahead, one a line
    WIPPY_PRELOAD_PATH=/x   folder that is first on the path meanwhile, as it is for the actors
"""

from __future__ import annotations

import ast
import asyncio
import concurrent.futures
import contextlib
import faulthandler
import gc
import importlib
import linecache
import os
import pickle
import sys
import time
import traceback
from collections.abc import Iterator

import msgspec
import setproctitle
import zmq
from multiprocess import reduction

from wippy.core import messages
from wippy.core.codec import encode
from wippy.core.messages import DUMP_SIGNAL, Birth
from wippy.core.newborn import Newborn
from wippy.errors import WippyError
from wippy.runtime import boot, compiled, freshness, output
from wippy.runtime.rehearsal import rehearse

_FOR_THE_FORKS = (ast, asyncio, boot, concurrent.futures, linecache, msgspec, zmq)
"""Imported only to be there: what the runtime, user code and tracebacks nearly always need."""

_API = ("wippy.funcs", "wippy.log", "wippy.process", "wippy.registry", "wippy.resource")
"""What actor code imports: by name, since it stands above the runtime."""


def prepare_image() -> None:
    """Do what every process of ours has, once for all forks; again does no harm.

    Handlers and streams are inherited. faulthandler writes to descriptor 2, whichever file that
    is by then.
    """
    output.install()
    faulthandler.enable(2)
    faulthandler.register(DUMP_SIGNAL, file=2, all_threads=True, chain=False)


def preload_user_modules(names: list[str]) -> None:
    """Import `names` and remember their files; what fails is written to stderr and remembered."""
    for name in names:
        began_ns, known = time.time_ns(), frozenset(sys.modules)
        try:
            importlib.import_module(name)
            freshness.record(name, known=known, began_ns=began_ns)
        except BaseException:  # noqa: BLE001  # the boundary to user code: a forkserver must live
            output.complain(f"cannot preload {name}:\n{traceback.format_exc()}")
            freshness.preloaded.failed.append(name)
            freshness.forget(known)


def compile_sources(paths: list[str]) -> None:
    """Compile source files, for the forks to find; they run nothing here, and a fork compiles again
    what has changed since."""
    for path in paths:
        # Whoever loads it will say what is wrong with it.
        with contextlib.suppress(WippyError):
            compiled.of_file(path)


@contextlib.contextmanager
def _first_on_path(folder: str) -> Iterator[None]:
    """Look in `folder` first; afterwards not at all, since system processes are forked too."""
    before = list(sys.path)
    if folder:
        sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path[:] = before


def become_forkserver() -> None:
    """Make this process the image that children are forked from."""
    # Children and foreign programs must not take themselves for forkservers.
    del os.environ["WIPPY_FORKSERVER"]
    names = os.environ.pop("WIPPY_PRELOAD", "").split(",")
    folder = os.environ.pop("WIPPY_PRELOAD_PATH", "")
    sources = os.environ.pop("WIPPY_SOURCES", "").split("\n")
    # The first call moves the environment out of the way, which the forks are then spared.
    setproctitle.setproctitle(f"wippy: forkserver [{os.environ.get('WIPPY_NODE', '')}]")
    prepare_image()
    for name in _API:
        importlib.import_module(name)
    with _first_on_path(folder):
        preload_user_modules([name.strip() for name in names if name.strip()])
    freshness.preloaded.in_pid = os.getpid()
    compile_sources([path for path in sources if path])
    _warm_up()
    gc.collect()
    gc.freeze()


def _warm_up() -> None:
    """Do once what is slow the first time, without leaving a thread or a descriptor behind."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(rehearse())
    loop.close()
    # What a fork reads from its pipe: the unpickler's and the decoder's first use.
    birth = encode(Birth(endpoint="", token=b"", routing_id=b"", root_pid=0, node=""))
    messages.birth.decode(reduction.pickle.loads(pickle.dumps(Newborn(birth))).birth)


if os.environ.get("WIPPY_FORKSERVER"):
    become_forkserver()
