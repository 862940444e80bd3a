"""A run folder that is deleted under a node that runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from commands import ended
from real_node import RealNode
from shops import files, journal, service

from supervisor.core.view import State

pytestmark = pytest.mark.system


def test_a_node_whose_run_folder_is_deleted_begins_anew_in_a_new_one(
    node: Callable[..., RealNode],
) -> None:
    shop = node(files([service("a"), service("b")]))
    guardian = shop.process.pid if shop.process is not None else 0
    old_root = shop.view().root_pid
    shop.forget_client()
    with ended(old_root):
        shutil.rmtree(shop.run_dir)
    view = shop.wait_view(lambda view: view.root_pid != old_root and view.state == "running")
    assert {shop.row(f"t:{it}").state for it in "ab"} == {State.UP}
    # In order: each had ended before it was started again, and the guardian is the same.
    for child in ("t:a", "t:b"):
        what = [line.what for line in journal(shop.folder) if line.id == child]
        assert what == ["start", "stop", "start"]
    assert shop.process is not None
    assert (shop.process.poll(), shop.process.pid) == (None, guardian)
    assert "was deleted: everything is stopped in order" in shop.output()
    assert view.root_pid == shop.view().root_pid
    history = shop.cli("history").stdout
    assert f"the run folder {shop.run_dir}" in history
    assert shop.cli("restart", "t:a", "--yes").returncode == 0
