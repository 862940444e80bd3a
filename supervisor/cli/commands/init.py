"""`init`: a commented configuration that runs, to begin with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

WIPPY_YAML = """\
# Settings of the runtime itself. Every value is optional; what is commented out is the default.
version: "1.0"

runtime:
  node: {node}               # part of every pid
  # state_dir: .wippy          # durable state, beside this file
  # run_dir:                   # sockets; by default below $XDG_RUNTIME_DIR, or /tmp
  # spares: 2                  # warm processes that make restarts fast
  # start_parallel: 4          # children that may be starting at the same time
  # log: {{max_size: 10MiB, backups: 3}}
"""

APP_YAML = """\
# One folder, any number of files like this one. Check it: wippy-supervisor check <folder>
version: "1.0"
namespace: app               # `name: counter` below is the entry app:counter

entries:
  # The code of two actors: functions of workers.py.
  - name: counter.code
    kind: process.py
    source: file://workers.py
    method: counter

  - name: greeter.code
    kind: process.py
    source: file://workers.py
    method: greeter

  # A pool: actors share its OS processes.
  - name: pool
    kind: process.host
    workers: 2

  # An actor with an OS process of its own. Kill it, and see it come back:
  #   wippy-supervisor kill app:counter -s KILL
  - name: counter
    kind: process.service
    process: counter.code
    input: [1s]              # the arguments of the function
    lifecycle:
      restart: permanent     # or transient (only after a crash), temporary (never)
      stop_timeout: 5s

  # An actor in the pool.
  - name: greeter
    kind: process.service
    process: greeter.code
    host: pool
    input: [world]

  # Any program can be supervised too.
  - name: ticker
    kind: exec.service
    command: [sh, -c, "while :; do date; sleep 5; done"]

  # Who is restarted with whom: if counter dies, what is listed after it is restarted too.
  - name: main
    kind: supervisor
    strategy: rest_for_one   # or one_for_one, one_for_all, dynamic
    intensity: {max_restarts: 5, within: 10s}
    children: [counter, greeter, ticker]
"""

WORKERS_PY = '''\
"""Two actors. An actor is a function; the supervisor starts it, watches it, and restarts it."""

import asyncio

from wippy import process


async def counter(every: str) -> None:
    """Count, for ever."""
    print(f"{process.pid()} counts", flush=True)
    number = 0
    while True:
        number += 1
        print(number, flush=True)
        await asyncio.sleep(float(every.removesuffix("s")))


async def greeter(whom: str) -> None:
    """Greet, then wait until asked to stop."""
    print(f"hello {whom}, I am {process.pid()}", flush=True)
    async for event in process.events():
        print(f"asked to stop: {event}", flush=True)
        return
'''


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write into.")],
) -> None:
    """Write a small commented configuration that runs.

    Nothing is overwritten: if one of the files is there, nothing is written at all.

    Examples:

      wippy-supervisor init configs && wippy-supervisor start configs

    Exit codes: 0 written, 1 a file is already there or cannot be written.
    """
    texts = {
        "wippy.yaml": WIPPY_YAML.format(node="first"),
        "app.yaml": APP_YAML,
        "workers.py": WORKERS_PY,
    }
    present = [str(folder / name) for name in texts if (folder / name).exists()]
    if present:
        print(f"error: {', '.join(present)} already there; nothing written", file=sys.stderr)
        raise typer.Exit(1)
    try:
        _write(folder, texts)
    except OSError as error:
        print(f"error: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"wrote {', '.join(str(folder / name) for name in texts)}")
    print(f"next: wippy-supervisor start {folder}")


def _write(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        # "x": what appeared since the look above is not overwritten either.
        with open(folder / name, "x", encoding="utf-8") as file:
            file.write(text)
