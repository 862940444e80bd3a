"""Functions whose entries change while they are called: no worker is restarted for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from real_node import RealNode
from watching import wait_lines

pytestmark = pytest.mark.system

FILES = {
    "app.yaml": """\
        version: "1.0"
        namespace: app
        entries:
          - {name: near, kind: process.host, workers: 1}
          - {name: far, kind: process.host, workers: 1}
          - name: words
            kind: library.py
            source: |
              def word(): return "first"
          - name: speak
            kind: function.py
            host: near
            method: one
            imports: {words: words}
            source: |
              import os
              def one(): return ["one", words.word(), os.getpid()]
              def two(): return ["two", words.word(), os.getpid()]
          - name: code
            kind: process.py
            method: main
            source: |
              import asyncio
              from wippy import errors, funcs
              async def main(function):
                  before = None
                  while True:
                      try:
                          said = " ".join(map(str, await funcs.call(function)))
                      except errors.NotFound:
                          said = "not found"
                      if said != before:
                          print(said, flush=True)
                          before = said
                      await asyncio.sleep(0.005)
          - {name: caller, kind: process.service, process: code, input: ["app:speak"]}
          - {name: other, kind: process.service, process: code, input: ["app:late"]}
        """,
}


def change(shop: RealNode, *words: str) -> None:
    """Change an entry as a user does."""
    done = shop.cli("registry", "set", *words)
    assert done.returncode == 0, done.stderr + done.stdout


def test_new_code_of_a_function_and_of_its_library_is_run_by_the_next_calls_in_the_same_worker(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    worker = shop.pid("app:near#1")
    wait_lines(shop, "app:caller", f"one first {worker}")
    change(shop, "app:speak", "method=two")
    wait_lines(shop, "app:caller", f"two first {worker}")
    change(shop, "app:words", "source=\"def word(): return 'second'\\n\"")
    lines = wait_lines(shop, "app:caller", f"two second {worker}")
    # Once the new code has run, the old one never does again.
    assert [line.rsplit(maxsplit=1)[0] for line in lines] == [
        "one first",
        "two first",
        "two second",
    ]


def test_a_function_that_comes_moves_goes_and_comes_back_is_called_where_and_as_it_is(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    near, far = shop.pid("app:near#1"), shop.pid("app:far#1")
    first = shop.view().registry_version
    wait_lines(shop, "app:other", "not found")
    kind = ("app:late", "--kind", "function.py", "method=run")
    change(shop, *kind, "host=near", source("return ['old', os.getpid()]"))
    wait_lines(shop, "app:other", f"old {near}")
    change(shop, "app:late", "host=far")
    wait_lines(shop, "app:other", f"old {far}")
    done = shop.cli("registry", "rollback", str(first))
    assert done.returncode == 0, done.stderr
    shop.wait_view(lambda _view: shop.log("app:other").endswith("not found\n"))
    # What the worker knew of the one before is not run.
    change(shop, *kind, "host=far", source("return ['new', os.getpid()]"))
    lines = wait_lines(shop, "app:other", "new")
    assert lines == ["not found", f"old {near}", f"old {far}", "not found", f"new {far}"]
    assert (shop.pid("app:near#1"), shop.pid("app:far#1")) == (near, far)


def source(line: str) -> str:
    """Return the source of a function of one line, as a value in YAML."""
    return f'source="import os\\ndef run(): {line}\\n"'
