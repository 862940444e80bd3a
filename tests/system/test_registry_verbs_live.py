"""`wippy-supervisor registry` beside a node that runs: what is changed, runs; what runs is kept."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest
from real_node import RealNode

YAML = """
version: "1.0"
namespace: app
entries:
  - {name: limits, kind: registry.entry, data: {most: 5}}
  # the code
  - {name: code, kind: process.py, source: "file://workers.py", method: main}
  - name: web        # the one
    kind: process.service
    process: code
"""
WORKERS = """
from wippy import process

async def main():
    await process.inbox().receive()
"""
FILES = {"app.yaml": YAML, "workers.py": WORKERS}


def done(ran: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def versions(shop: RealNode) -> list[dict[str, object]]:
    found = json.loads(done(shop.cli("registry", "history", "--json", "-n", "1000")).stdout)
    listed: list[dict[str, object]] = found["versions"]
    return listed


@pytest.mark.system
def test_a_service_made_by_hand_runs_is_written_back_and_survives_the_node(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    web = shop.pid("app:web")
    new = "id: app:extra\nkind: process.service\nprocess: code\n"
    dry = done(shop.cli("registry", "set", "-", "--dry-run", input=new))
    assert dry.stdout.splitlines()[-1] == "app:extra is added and started when its turn comes"
    done(shop.cli("registry", "set", "-", "--comment", "one more", input=new))
    shop.wait_row("app:extra", lambda row: row.state == "up")
    assert shop.pid("app:web") == web

    done(shop.cli("registry", "export"))
    written = (shop.config / "app.yaml").read_text()
    assert written == YAML + "  - name: extra\n    kind: process.service\n    process: code\n"
    done(shop.cli("reload"))
    assert done(shop.cli("registry", "diff")).stdout == ""
    last = versions(shop)[0]
    assert (last["number"], last["comment"]) == (2, "one more")

    assert shop.stop() == 0
    shop.forget_client()
    shop.start()
    assert shop.pid("app:extra") > 0
    assert len(versions(shop)) == 2


@pytest.mark.system
def test_what_others_need_is_not_deleted_and_what_is_deleted_stops_and_comes_back(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    refused = shop.cli("registry", "delete", "app:code")
    assert refused.returncode == 1
    assert "app:code cannot be deleted: app:web runs it" in refused.stderr
    done(shop.cli("registry", "delete", "app:code", "app:web"))
    shop.wait_view(lambda view: all(row.id != "app:web" for row in view.rows))
    done(shop.cli("registry", "rollback", "1"))
    shop.wait_row("app:web", lambda row: row.state == "up")
    assert [version["author"] for version in versions(shop)][-1] == "start"
    assert str(versions(shop)[0]["author"]).startswith("cli:")


@pytest.mark.system
def test_commands_that_set_values_at_the_same_time_all_succeed_and_lose_none(
    node: Callable[..., RealNode],
) -> None:
    shop = node(FILES)
    commands = [
        subprocess.Popen(
            shop.command("registry", "set", "app:limits", f"n{number}={number}"),
            env=shop.environ({"WIPPY_RUN_DIR": str(shop.run_dir)}),
            cwd=shop.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    ended = [(it.communicate(timeout=60)[1], it.returncode) for it in commands]
    assert [code for _, code in ended] == [0] * len(commands), ended
    entry = json.loads(done(shop.cli("registry", "get", "app:limits", "--json")).stdout)["entry"]
    assert entry["data"] == {"most": 5, **{f"n{number}": number for number in range(6)}}
    assert len(versions(shop)) == 1 + len(commands)


@pytest.mark.system
def test_history_is_compacted_by_an_operator(node: Callable[..., RealNode]) -> None:
    shop = node(FILES)
    for number in range(3):
        done(shop.cli("registry", "set", "app:limits", f"most={number}"))
    ran = done(shop.cli("registry", "compact", "--keep", "2", "--yes"))
    assert "2 versions forgotten; the oldest is 3" in ran.stdout
    refused = shop.cli("registry", "rollback", "1")
    assert refused.returncode == 4
    assert "version 1 of the registry was forgotten; the oldest is 3" in refused.stderr
    done(shop.cli("registry", "rollback", "3"))
    assert [version["number"] for version in versions(shop)] == [5, 4, 3]
