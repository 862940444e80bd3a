"""What a configuration is read from, without reading it."""

from __future__ import annotations

import os
from pathlib import Path

from supervisor.io.survey import links_to, survey


def look(folder: Path, *sources: Path) -> str:
    return survey(str(folder), [str(it) for it in sources]).digest


def test_a_survey_is_the_same_until_a_file_that_is_read_changes(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1")
    source = tmp_path / "code.py"
    source.write_text("1")
    before = look(tmp_path, source)
    (tmp_path / "notes.txt").write_text("1")
    (tmp_path / ".a.yaml.swp").write_text("1")
    (tmp_path / ".wippy").mkdir()
    (tmp_path / ".wippy" / "x.yaml").write_text("1")
    assert look(tmp_path, source) == before
    seen = {before}
    (tmp_path / "b.yml").write_text("1")
    seen.add(look(tmp_path, source))
    (tmp_path / "b.yml").rename(tmp_path / "c.yml")
    seen.add(look(tmp_path, source))
    (tmp_path / "c.yml").write_text("12")
    seen.add(look(tmp_path, source))
    source.write_text("12")
    seen.add(look(tmp_path, source))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "d.yaml").write_text("1")
    seen.add(look(tmp_path, source))
    source.unlink()
    seen.add(look(tmp_path, source))
    assert len(seen) == 7


def test_a_file_that_is_replaced_by_one_of_the_same_size_is_another(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1")
    before = look(tmp_path)
    (tmp_path / "new").write_text("2")
    (tmp_path / "new").rename(tmp_path / "a.yaml")
    assert look(tmp_path) != before


def test_folders_are_those_in_which_a_change_would_be_noticed(tmp_path: Path) -> None:
    config, code = tmp_path / "c", tmp_path / "code"
    for folder in (config / "below", config / ".hidden", code):
        folder.mkdir(parents=True)
    (config / "a.yaml").write_text("1")
    (code / "x.py").write_text("1")
    found = {it[0] for it in survey(str(config), [str(code / "x.py")]).folders}
    assert found == {str(it) for it in (tmp_path, config, config / "below", code)}


def test_the_folders_that_hold_links_are_among_them(tmp_path: Path) -> None:
    """A folder as Kubernetes mounts it, behind a link of its own."""
    real = tmp_path / "mount"
    (real / "..2024").mkdir(parents=True)
    (real / "..2024" / "a.yaml").write_text("1")
    (real / "..data").symlink_to("..2024")
    (real / "a.yaml").symlink_to("..data/a.yaml")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "current").symlink_to(real)
    path = tmp_path / "links" / "current"
    seen = survey(str(path))
    names = {os.path.realpath(it[0]) for it in seen.folders}
    assert {str(tmp_path / "links"), str(real), str(real / "..2024")} <= names
    (real / "..2025").mkdir()
    (real / "..2025" / "a.yaml").write_text("1")
    (real / "..new").symlink_to("..2025")
    (real / "..new").rename(real / "..data")
    assert survey(str(path)).digest != seen.digest


def test_links_are_followed_in_every_part_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "v2" / "conf").mkdir(parents=True)
    (tmp_path / "now").symlink_to("v2")
    (tmp_path / "v2" / "c").symlink_to("../v2/conf")
    path = str(tmp_path / "now" / "c")
    assert list(links_to(path)) == [str(tmp_path / "now"), str(tmp_path / "v2" / "c")]


def test_links_in_a_circle_are_no_endless_walk(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert survey(str(tmp_path / "a")).files == ()


def test_what_is_gone_is_waited_for_in_the_nearest_folder_that_is_there(tmp_path: Path) -> None:
    seen = survey(str(tmp_path / "gone" / "configs"))
    assert [it[0] for it in seen.folders] == [str(tmp_path)]
    assert seen.files == ()
    folder = tmp_path / "gone" / "configs"
    folder.mkdir(parents=True)
    assert survey(str(folder)).digest != seen.digest
