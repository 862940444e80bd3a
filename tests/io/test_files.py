"""Configurations read from real files and folders."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.core.config.problems import ConfigErrors
from supervisor.core.spec import Code, ProcessEntry
from supervisor.io import accounts, files
from supervisor.io.files import load, load_runtime
from wippy.errors import NotFound

HEAD = 'version: "1.0"\nnamespace: app\nentries:\n'
RUN = "  - {{name: {}, kind: exec.service, command: [sleep, 1]}}\n"
NOBODY = 65534


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return an empty folder that everybody may read, as the current one."""
    path = Path(tempfile.mkdtemp(prefix="w-"))
    path.chmod(0o755)
    monkeypatch.chdir(path)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def unprivileged(folder: Path) -> Iterator[None]:
    """Run the test as an ordinary user, whoever runs the tests."""
    is_root = os.geteuid() == 0
    if is_root:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    yield
    if is_root:
        os.seteuid(0)
        os.setegid(0)


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def problems(path: Path, **environ: str) -> list[str]:
    """Return what is wrong, `place: message` each."""
    with pytest.raises(ConfigErrors) as raised:
        load(path, environ=environ)
    return [f"{p.place.file}:{p.place.line}: {p.message}" for p in raised.value.problems]


def test_files_are_read_in_order_and_hidden_ones_are_not(folder: Path) -> None:
    for name in ("b.yaml", "a/z.yml", "a/b.yaml", "c.yml"):
        write(folder / name, HEAD + RUN.format(name[0] + Path(name).stem))
    for name in (".hidden.yaml", ".wippy/x.yaml", ".git/y.yaml", "a/.b/z.yaml", "notes.txt"):
        write(folder / name, "nonsense")
    blueprint = load(folder, environ={})
    assert list(blueprint.entries) == ["app:ab", "app:az", "app:bb", "app:cc"]
    assert blueprint.source == str(folder.resolve())


def test_reading_makes_nothing(folder: Path) -> None:
    write(folder / "c" / "app.yaml", HEAD + RUN.format("a"))
    write(folder / "c" / "wippy.yaml", "version: '1.0'\nruntime: {run_dir: run, state_dir: s}\n")
    before = sorted(folder.rglob("*"))
    spec = load(folder / "c", environ={}).runtime
    assert (spec.run_dir, spec.state_dir) == (f"{folder}/c/run", f"{folder}/c/s")
    assert spec.log_dir == f"{folder}/c/s/logs"
    assert sorted(folder.rglob("*")) == before


def test_the_state_folder_is_beside_the_configuration(folder: Path) -> None:
    one = write(folder / "c" / "app.yaml", HEAD + RUN.format("a"))
    wanted = str(folder.resolve() / "c" / ".wippy")
    assert load(one, environ={}).runtime.state_dir == wanted
    assert load(folder / "c", environ={}).runtime.state_dir == wanted


def test_a_symbolic_link_to_a_file_is_read_and_one_to_a_folder_is_not(folder: Path) -> None:
    write(folder / "data" / "app.yaml", HEAD + RUN.format("a"))
    config = folder / "config"
    config.mkdir()
    (config / "app.yaml").symlink_to(folder / "data" / "app.yaml")
    (config / "loop").symlink_to(config)
    assert list(load(config, environ={}).entries) == ["app:a"]


def test_code_gets_its_absolute_path_and_the_folder_to_import_from(folder: Path) -> None:
    write(folder / "lib" / "workers.py", "def run(): ...\n")
    code = "  - {name: c, kind: process.py, source: 'file://../lib/workers.py', method: run}\n"
    write(folder / "config" / "sub" / "app.yaml", HEAD + code.replace("../", "../../"))
    entry = load(folder / "config", environ={}).entries["app:c"]
    assert isinstance(entry, ProcessEntry)
    wanted = str(folder / "lib" / "workers.py")
    assert entry.code == Code(
        method="run",
        path=wanted,
        text="def run(): ...\n",
        search_path=str((folder / "config").resolve()),
    )


def test_there_must_be_something(folder: Path) -> None:
    with pytest.raises(NotFound, match="no configuration at"):
        load(folder / "none", environ={})
    with pytest.raises(NotFound, match="no configuration at"):
        load_runtime(folder / "none", environ={})


def test_files_that_are_none_are_named(folder: Path) -> None:
    (folder / "a.yaml").symlink_to(folder / "nowhere")
    (folder / "b.yaml").symlink_to("b.yaml")
    os.mkfifo(folder / "c.yaml")
    write(folder / "d.yaml", b"a: \xff")
    write(folder / "e.yaml", "# " + "x" * (5 * 2**20))
    found = problems(folder)
    assert found[0].endswith("a.yaml:0: cannot be read: No such file or directory")
    assert found[1].endswith("b.yaml:0: cannot be read: Too many levels of symbolic links")
    assert found[2].endswith("c.yaml:0: cannot be read: it is no regular file")
    assert found[3].endswith("d.yaml:1: not UTF-8: byte 0xff")
    assert "at most 4 MiB" in found[4]
    assert len(found) == 5


@pytest.mark.usefixtures("unprivileged")
class TestAsAnOrdinaryUser:
    """What only root may."""

    @pytest.fixture
    def config(self, folder: Path) -> Iterator[Path]:
        path = Path(tempfile.mkdtemp(prefix="w-"))
        yield path
        path.chmod(0o755)
        for inner in path.iterdir():
            inner.chmod(0o755)
        shutil.rmtree(path)

    def test_a_file_that_may_not_be_read_is_named(self, config: Path) -> None:
        write(config / "a.yaml", HEAD + RUN.format("a")).chmod(0)
        assert problems(config)[0].endswith("a.yaml:0: cannot be read: Permission denied")

    def test_a_folder_that_may_not_be_read_is_named(self, config: Path) -> None:
        write(config / "a.yaml", HEAD + RUN.format("a"))
        write(config / "b" / "b.yaml", HEAD).parent.chmod(0)
        assert problems(config)[0].endswith("b:0: cannot read the folder: Permission denied")

    def test_a_source_that_may_not_be_read_is_named(self, config: Path) -> None:
        write(config / "w.py", "").chmod(0)
        code = "  - {name: c, kind: process.py, source: 'file://w.py', method: run}\n"
        write(config / "a.yaml", HEAD + code)
        assert "w.py cannot be read: Permission denied" in problems(config)[0]

    def test_nobody_else_may_be_become(self, config: Path) -> None:
        fields = "user: root, group: '0', nice: -5, open_files: 1073741824"
        entry = f"  - {{name: a, kind: exec.service, command: x, {fields}}}\n"
        write(config / "a.yaml", HEAD + entry)
        found = [problem.split(": ", 1)[1] for problem in problems(config)]
        assert found[0] == "app:a: no permission to become user 'root'"
        assert found[1] == "app:a: no permission to become group '0'"
        assert found[2] == "app:a: no permission for nice -5"
        assert "is above this user's limit" in found[3]

    def test_oneself_may_be_become(self, config: Path) -> None:
        fields = f"user: {os.geteuid()}, group: {os.getegid()}"
        entry = f"  - {{name: a, kind: exec.service, command: x, {fields}}}\n"
        write(config / "a.yaml", HEAD + entry)
        assert "app:a" in load(config, environ={}).entries


def test_a_user_number_out_of_range_is_no_user(folder: Path) -> None:
    entry = "  - {name: a, kind: exec.service, command: x, user: 4294967295}\n"
    write(folder / "a.yaml", HEAD + entry)
    assert problems(folder)[0].endswith("there is no user '4294967295' on this machine")
    assert accounts.MAX_ID == 4294967294


def test_no_code_is_run(folder: Path) -> None:
    mark = folder / "mark"
    text = f"open({str(mark)!r}, 'w')\ndef run(): ...\n"
    write(folder / "pack" / "__init__.py", text)
    write(folder / "pack" / "inner.py", text)
    write(folder / "w.py", text)
    inline = "".join(f"      {line}\n" for line in text.splitlines())
    write(
        folder / "a.yaml",
        HEAD + "  - {name: a, kind: process.py, source: 'file://w.py', method: run}\n"
        "  - {name: b, kind: process.py, module: pack.inner, method: run}\n"
        "  - {name: d, kind: process.py, module: pack, method: run}\n"
        f"  - name: c\n    kind: process.py\n    method: run\n    source: |\n{inline}",
    )
    assert len(load(folder, environ={}).entries) == 4
    assert not mark.exists()


@pytest.mark.parametrize(("module", "method"), [("json.decoder", "JSONDecoder"), ("sys", "exit")])
def test_modules_of_the_standard_library_are_found(folder: Path, module: str, method: str) -> None:
    write(
        folder / "a.yaml",
        HEAD + f"  - {{name: a, kind: process.py, module: {module}, method: {method}}}\n",
    )
    assert "app:a" in load(folder, environ={}).entries


def test_a_namespace_package_is_searched(folder: Path) -> None:
    write(folder / "space" / "inner" / "code.py", "def run(): ...\n")
    write(
        folder / "a.yaml",
        HEAD + "  - {name: a, kind: process.py, module: space.inner.code, method: run}\n",
    )
    assert "app:a" in load(folder, environ={}).entries


def test_a_flag_wins_over_a_variable_which_wins_over_the_file(folder: Path) -> None:
    write(folder / "wippy.yaml", "version: '1.0'\nruntime: {spares: 1, state_dir: one}\n")
    write(folder / "a.yaml", HEAD + RUN.format("a"))
    environ = {"WIPPY_SPARES": "2", "WIPPY_STATE_DIR": "two"}
    found = load(folder, environ=environ, overrides={"state_dir": "three"}).runtime
    assert (found.spares, found.state_dir) == (2, f"{folder}/three")


def test_the_run_folder_follows_the_session_and_the_state_folder(folder: Path) -> None:
    one = write(folder / "a.yaml", HEAD + RUN.format("a"))
    session = load(one, environ={"XDG_RUNTIME_DIR": str(folder)}).runtime.run_dir
    assert session.startswith(f"{folder}/wippy/")
    plain = load(one, environ={}).runtime.run_dir
    assert plain.startswith(f"/tmp/wippy-{os.geteuid()}/")
    other = load(one, environ={}, overrides={"state-dir": "other"}).runtime.run_dir
    assert other != plain


def test_a_default_run_folder_that_is_too_long_says_what_to_set(folder: Path) -> None:
    one = write(folder / "a.yaml", HEAD + RUN.format("a"))
    session = folder / ("x" * 60)
    session.mkdir()
    with pytest.raises(ConfigErrors, match=r"too long for a socket.*set runtime\.run_dir"):
        load(one, environ={"XDG_RUNTIME_DIR": str(session)})


def test_only_the_runtime_section_is_judged_to_find_a_node(folder: Path) -> None:
    write(folder / "wippy.yaml", "version: '1.0'\nruntime: {node: shop}\nentries: nonsense\n")
    write(folder / "a.yaml", "broken: [")
    assert load_runtime(folder, environ={}).node == "shop"
    write(folder / "wippy.yaml", "version: '1.0'\nruntime: {node: a b}\n")
    with pytest.raises(ConfigErrors, match="no name of a node"):
        load_runtime(folder, environ={})


def test_too_many_entries_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ENTRIES", 2)
    write(folder / "a.yaml", HEAD + "".join(RUN.format(name) for name in "abc"))
    assert problems(folder)[0].endswith("3 entries; at most 2 are accepted")


def test_too_many_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 1)
    for name in ("a.yaml", "b.yaml"):
        write(folder / name, HEAD)
    assert problems(folder)[0].endswith("more than 1 files")
