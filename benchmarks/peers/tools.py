"""What the peers need, made once and kept in `.bench/`: interpreters, programs in C, packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = HERE / "programs"
CACHE = HERE.parents[1] / ".bench"


def empty_python() -> Path:
    """Return a Python with nothing installed: no `.pth` file slows its start.

    The interpreter is the one that runs us, so that only what is around it differs.
    """
    python = CACHE / "python" / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", "--without-pip", str(CACHE / "python")])
    return python


def compiled(name: str) -> Path | None:
    """Return the program `name` of `programs/`, compiled; None without a C compiler."""
    source, program = PROGRAMS / f"{name}.c", CACHE / name
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(exist_ok=True)
        _run([compiler, "-O2", "-o", str(program), str(source)])
    return program


def compiled_erlang(name: str) -> Path | None:
    """Return the folder with the module `name` of `programs/`, compiled; None without Erlang."""
    source, beam = PROGRAMS / f"{name}.erl", CACHE / f"{name}.beam"
    if shutil.which("erl") is None or shutil.which("erlc") is None:
        return None
    if not beam.exists() or beam.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(exist_ok=True)
        _run(["erlc", "-o", str(CACHE), str(source)])
    return CACHE


def packaged(name: str) -> str | None:
    """Return the command `name` of a Python peer; None where it cannot be installed."""
    on_path = shutil.which(name)
    if on_path is not None:
        return on_path
    folder = CACHE / "peers"
    requirements = HERE / "requirements.txt"
    stamp = folder / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        try:
            _run([sys.executable, "-m", "venv", "--clear", str(folder)])
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            _run([*pip, "--disable-pip-version-check", "-r", str(requirements)])
        except subprocess.CalledProcessError as error:
            print(f"the Python peers cannot be installed: {error}", file=sys.stderr)
            return None
        shutil.copy(requirements, stamp)
    return str(folder / "bin" / name)


def python_with(requirement: str) -> Path | None:
    """Return a Python that has `requirement` (`name==version`) and nothing else; None where it
    cannot be installed."""
    name = requirement.partition("==")[0]
    folder, stamp = CACHE / name, CACHE / name / "requirement.txt"
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != requirement:
        try:
            _run([sys.executable, "-m", "venv", "--clear", str(folder)])
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*pip, requirement])
        except subprocess.CalledProcessError as error:
            print(f"{requirement} cannot be installed: {error}", file=sys.stderr)
            return None
        stamp.write_text(requirement)
    return python


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr, env=_environ())


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
