"""The example of the guide, in a node, prints what it says; a driver of a user's own closes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_root import turns
from real_node import RealNode

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guide" / "resources.md"
TEXT = GUIDE.read_text()


OWN_YAML = """
version: "1.0"
namespace: app
entries:
  - {name: q, kind: registry.entry, meta: {type: queue.own}, data: {url: q1}}
  - {name: code, kind: process.py, source: "file://workers.py", method: main}
  - {name: plain, kind: process.py, source: "file://workers.py", method: plain}
  - {name: alone, kind: process.service, process: code}
  - {name: thread, kind: process.service, process: plain}
"""
OWN_WORKERS = """
import msgspec
from wippy import process, resource, sync

class Queue(msgspec.Struct, frozen=True):
    url: str

async def opened(settings, pooling):
    return settings.url

async def closed(connection):
    print("closed", connection, flush=True)

resource.register("queue.own", resource.Driver(
    settings=Queue,
    awaited=resource.Calls(open=opened, close=closed),
    blocking=resource.Calls(
        open=lambda settings, pooling: settings.url,
        close=lambda connection: print("closed", connection, flush=True),
    ),
))

async def main():
    async with resource.of("app:q").acquire() as connection:
        print("has", connection, flush=True)
    await process.inbox().receive()

def plain():
    with sync.acquire("app:q") as connection:
        print("has", connection, flush=True)
    sync.receive()
"""


def first(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def said(mark: str) -> list[str]:
    return re.findall(rf"^ *# {mark} (.*)$", first("python"), re.MULTILINE)


def wait_lines(node: RealNode, child: str, wanted: list[str]) -> None:
    lines: list[str] = []
    for _ in turns():
        lines = node.log(child).splitlines()
        if len(lines) >= len(wanted):
            break
    assert lines == wanted


@pytest.mark.system
def test_the_guide_prints_what_it_says(node: Callable[..., RealNode]) -> None:
    shop = node({"app.yaml": first("yaml"), "workers.py": first("python")})
    wait_lines(shop, "app:boss", said("->"))
    assert shop.cli("start", "app:clerk").returncode == 0
    wait_lines(shop, "app:clerk", said("=>"))


@pytest.mark.system
def test_an_idle_connection_is_closed_when_its_entry_changes_and_at_the_end_of_its_process(
    node: Callable[..., RealNode],
) -> None:
    shop = node({"app.yaml": OWN_YAML, "workers.py": OWN_WORKERS})
    for child in ("app:alone", "app:thread"):
        wait_lines(shop, child, ["has q1"])
    assert shop.cli("stop", "app:alone", "--yes").returncode == 0
    wait_lines(shop, "app:alone", ["has q1", "closed q1"])
    assert shop.cli("registry", "set", "app:q", "url=q2").returncode == 0
    # Nobody asks for it any more: it is closed by the look of each second.
    wait_lines(shop, "app:thread", ["has q1", "closed q1"])
