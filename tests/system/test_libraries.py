"""Code that imports other entries, and functions as pools, on a real node."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_node import RealNode

from supervisor.core.view import RowKind, State

pytestmark = pytest.mark.system

SHOP = """\
version: "1.0"
namespace: t
entries:
  - name: counting
    kind: library.py
    source: file://counting.py
  - name: words
    kind: library.py
    source: |
      def words(name):
          return f"{name} is number {counting.next()}"
      def fail():
          raise ValueError("told to")
    imports: {counting: counting}
  - name: code
    kind: process.py
    source: |
      from wippy import process
      async def main(name):
          print(words.words(name), "and then", counting.next(), flush=True)
          async for event in process.events():
              return
    method: main
    imports: {words: words, counting: counting}
  - name: failing
    kind: process.py
    source: |
      async def main():
          words.fail()
    method: main
    imports: {words: words}
  - {name: pool, kind: process.host}
  - {name: one, kind: process.service, process: code, host: pool, input: [one]}
  - {name: two, kind: process.service, process: code, host: pool, input: [two]}
  - {name: alone, kind: process.service, process: code, input: [alone]}
  - name: bad
    kind: process.service
    process: failing
    lifecycle: {auto_start: false, max_restarts: 0, on_limit: quarantine}
  - {name: asleep, kind: function.py, module: json, method: dumps}
  - {name: awake, kind: function.py, module: json, method: dumps, pool: {kind: static, max: 2}}
"""
COUNTING = "seen = 0\ndef next():\n    global seen\n    seen += 1\n    return seen\n"
FILES = {"t.yaml": SHOP, "counting.py": COUNTING}


def test_every_actor_has_libraries_of_its_own_wherever_it_lives(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    for name in ("one", "two", "alone"):
        shop.wait_row(f"t:{name}", lambda row: row.state is State.UP)
        assert f"{name} is number 1 and then 2" in shop.log(f"t:{name}")


def test_an_error_in_a_library_is_told_with_the_line_of_its_document(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    document = shop.config / "t.yaml"
    shop.cli("start", "t:bad")
    shop.wait_row("t:bad", lambda row: row.state is State.FAILED)
    log = shop.log("t:bad")
    lines = SHOP.splitlines()
    for wanted in ("words.fail()", 'raise ValueError("told to")'):
        number = next(n for n, line in enumerate(lines, start=1) if line.strip() == wanted)
        assert f'File "{document}", line {number}' in log
        assert f"    {wanted}\n" in log


def test_functions_are_pools_and_a_lazy_one_has_no_process(node: Callable[..., RealNode]) -> None:
    shop = node(FILES)
    rows = {row.id: row for row in shop.view().rows}
    assert (rows["t:asleep"].kind, rows["t:asleep"].state) == (RowKind.POOL, State.UP)
    assert rows["t:awake"].kind is RowKind.POOL
    workers = {id_: row.kind for id_, row in rows.items() if "#" in id_ and "pool" not in id_}
    assert workers == {"t:awake#1": RowKind.WORKER, "t:awake#2": RowKind.WORKER}
