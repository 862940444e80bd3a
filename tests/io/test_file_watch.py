"""Files that change are told once, when they are complete, whatever was done to them."""

from __future__ import annotations

import queue
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.io import file_watch
from supervisor.io.file_watch import FileWatch
from supervisor.io.survey import Survey, survey

DEADLINE_S = 30.0


class Watched:
    """A configuration that is watched; `told` has each state that was told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sources: list[str] = []
        self.told: queue.Queue[Survey] = queue.Queue()
        self.blind: queue.Queue[str] = queue.Queue()
        self.watch = FileWatch(
            self.survey, self.survey().digest, on_change=self.told.put, on_blind=self.blind.put
        )

    def survey(self) -> Survey:
        return survey(str(self.path), self.sources)

    def wait(self) -> Survey:
        """Wait until the present state was told."""
        while True:
            seen = self.told.get(timeout=DEADLINE_S)
            if seen.digest == self.survey().digest:
                return seen


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Callable[[Path], Watched]]:
    made: list[Watched] = []

    def make(path: Path) -> Watched:
        made.append(Watched(path))
        made[-1].watch.start()
        return made[-1]

    yield make
    for each in made:
        each.watch.close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "a.yaml").write_text("a: 1")
    return folder


def test_a_save_by_rename_is_told(config: Path, watched: Callable[[Path], Watched]) -> None:
    it = watched(config)
    (config / ".a.yaml.tmp").write_text("a: 2")
    (config / ".a.yaml.tmp").rename(config / "a.yaml")
    it.wait()


def test_a_burst_of_changes_is_told_as_one(
    config: Path, watched: Callable[[Path], Watched]
) -> None:
    it = watched(config)
    for number in range(200):
        (config / f"{number}.yaml").write_text("a: 1")
        (config / "a.yaml").write_text(f"a: {number}")
    seen = it.wait()
    assert len([file for file in seen.files if file[0].endswith(".yaml")]) == 201
    # Nothing is told twice: a further change is told next.
    (config / "0.yaml").unlink()
    assert it.told.get(timeout=DEADLINE_S).digest == it.survey().digest


def test_a_new_folder_and_what_is_put_into_it_later_are_told(
    config: Path, watched: Callable[[Path], Watched]
) -> None:
    it = watched(config)
    (config / "more").mkdir()
    (config / "more" / "b.yaml").write_text("b: 1")
    it.wait()
    (config / "more" / "b.yaml").write_text("b: 2")
    it.wait()


def test_a_folder_that_is_removed_and_comes_back_is_told_both_times(
    config: Path, watched: Callable[[Path], Watched]
) -> None:
    it = watched(config)
    shutil.rmtree(config)
    assert not [file for file in it.wait().files if file[0].endswith(".yaml")]
    config.mkdir()
    (config / "a.yaml").write_text("a: 1")
    it.wait()
    (config / "a.yaml").write_text("a: 2")
    it.wait()


def test_a_folder_behind_a_link_is_told_when_the_link_is_swapped(
    tmp_path: Path, watched: Callable[[Path], Watched]
) -> None:
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text("a: 1")
    link = tmp_path / "current"
    link.symlink_to("v1")
    it = watched(link)
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(link)
    it.wait()
    # And what is changed in the new one is told too.
    (tmp_path / "v2" / "a.yaml").write_text("a: 2")
    it.wait()


def test_files_are_told_as_kubernetes_swaps_them(
    tmp_path: Path, watched: Callable[[Path], Watched]
) -> None:
    mount = tmp_path / "mount"
    for name in ("..1", "..2"):
        (mount / name).mkdir(parents=True)
        (mount / name / "a.yaml").write_text("a: 1")
    (mount / "..data").symlink_to("..1")
    (mount / "a.yaml").symlink_to("..data/a.yaml")
    it = watched(mount)
    (mount / "..data_tmp").symlink_to("..2")
    (mount / "..data_tmp").rename(mount / "..data")
    it.wait()
    shutil.rmtree(mount / "..1")


def test_a_source_elsewhere_is_told(
    tmp_path: Path, config: Path, watched: Callable[[Path], Watched]
) -> None:
    source = tmp_path / "code" / "x.py"
    source.parent.mkdir()
    source.write_text("1")
    it = watched(config)
    it.sources.append(str(source))
    it.wait()  # that there is one more file is a change itself
    source.write_text("22")
    it.wait()


def test_without_the_kernel_changes_are_noticed_all_the_same(
    config: Path, watched: Callable[[Path], Watched], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError("no watches left")

    monkeypatch.setattr(file_watch, "RustNotify", refused)
    it = watched(config)
    assert it.blind.get(timeout=DEADLINE_S) == "no watches left"
    (config / "a.yaml").write_text("a: 22")
    it.wait()
    assert it.blind.empty()
