"""The code of an actor: loaded after the process knows who it is, so never old.

A source file is read, compiled and executed itself; no bytecode cache stands between (its check
has a granularity of one second). Each start gets a module of its own, so two actors of one process
share no globals; `module:` goes through the importer, with Python's own rules.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import linecache
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from wippy.core.messages import CodeRef
from wippy.errors import Invalid, NotFound
from wippy.runtime.context import NotNeededSignal
from wippy.runtime.judge import exit_status

COMPILED_SOURCES = 64
"""Compiled texts a worker remembers, by their whole text: more kinds of actors in one pool are
rare, and then they are only compiled again."""

Entry = Callable[..., Any]


def load(code: CodeRef, name: str) -> Entry:
    """Load `code` and return its entry function.

    Args:
        code: Where the code is.
        name: Name of the module that source code becomes.

    Raises:
        NotFound: There is no such file, module or function.
        Invalid: It cannot be read or compiled, or raised while it was loaded (its `__cause__`).
    """
    if code.search_path:
        put_first_on_path(code.search_path)
    module = _module_of(code, name)
    return _entry_of(module, code)


def unload(name: str) -> None:
    """Forget the module that `load` made of source code."""
    sys.modules.pop(name, None)


def put_first_on_path(folder: str) -> None:
    """Make `folder` the first on `sys.path`."""
    if sys.path[:1] != [folder]:
        sys.path[:] = [folder, *(path for path in sys.path if path != folder)]


def _module_of(code: CodeRef, name: str) -> ModuleType:
    if code.module is not None:
        return _import(code.module, code.search_path)
    if code.path is not None:
        return _execute(_read(code.path), filename=code.path, name=name, path=code.path)
    if code.text is not None:
        filename = code.origin or f"<{name}>"
        _show_in_tracebacks(filename, code.text)
        return _execute(code.text.encode(), filename=filename, name=name, path=None)
    raise Invalid("the code has neither 'source' nor 'module'")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError as error:
        raise NotFound(f"there is no source file {path}") from error
    except OSError as error:
        raise Invalid(f"cannot read {path}: {error.strerror}") from error


def _execute(text: bytes, *, filename: str, name: str, path: str | None) -> ModuleType:
    compiled = _compile(text, filename)
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, None, origin=filename)
    if path is not None:
        module.__file__ = path
    # Dataclasses and pickle look their module up by its name.
    sys.modules[name] = module
    _run_user_code(lambda: exec(compiled, module.__dict__), filename)
    return module


def _compile(text: bytes, filename: str) -> CodeType:
    try:
        return _compiled(text, filename)
    except SyntaxError as error:
        shown = f": {error.text.strip()}" if error.text else ""
        where = f"{filename}, line {error.lineno}" if error.lineno else filename
        raise Invalid(f"{type(error).__name__} in {where}: {error.msg}{shown}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        # NUL bytes, or nesting deeper than the compiler goes.
        raise Invalid(f"{filename} cannot be compiled: {error}") from error


@functools.lru_cache(maxsize=COMPILED_SOURCES)
def _compiled(text: bytes, filename: str) -> CodeType:
    return compile(text, filename, "exec", dont_inherit=True)


def _show_in_tracebacks(filename: str, text: str) -> None:
    # No modification time: linecache then never looks for a file of that name.
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)


def _import(name: str, search_path: str | None) -> ModuleType:
    importlib.invalidate_caches()
    try:
        module: ModuleType = _run_user_code(lambda: importlib.import_module(name), f"module {name}")
    except Invalid as error:
        missing = error.__cause__
        if isinstance(missing, ModuleNotFoundError) and _is_part(missing.name, name):
            looked = f" (looked in {search_path} and on the Python path)" if search_path else ""
            raise NotFound(f"there is no module {missing.name!r}{looked}") from missing
        raise
    return module


def _is_part(missing: str | None, name: str) -> bool:
    return missing is not None and (name == missing or name.startswith(f"{missing}."))


def _run_user_code(step: Callable[[], Any], where: str) -> Any:
    try:
        return step()
    except NotNeededSignal:
        raise
    except SystemExit as error:
        raise Invalid(f"{where} exited with status {exit_status(error)} when loaded") from error
    except SyntaxError as error:
        at = f"{error.filename}, line {error.lineno}"
        raise Invalid(f"{type(error).__name__} in {at}: {error.msg}") from error
    except BaseException as error:  # the boundary to user code; the cause keeps the traceback
        raise Invalid(f"{where} raised {type(error).__name__} when loaded: {error}") from error


def _entry_of(module: ModuleType, code: CodeRef) -> Entry:
    where = code.path or code.origin or f"module {code.module}"
    entry = getattr(module, code.method, None)
    if entry is None:
        raise NotFound(f"{where} has no function {code.method!r}{_nearest(module, code.method)}")
    if not callable(entry):
        raise Invalid(f"{code.method!r} in {where} is no function but {type(entry).__name__}")
    return entry  # type: ignore[no-any-return]  # any callable; its arguments are checked at the call


def _nearest(module: ModuleType, name: str) -> str:
    names = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
