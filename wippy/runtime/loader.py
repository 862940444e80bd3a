"""The code of an actor: loaded after the process knows who it is, so never old.

Source is compiled and executed here, not imported: no bytecode cache stands between (its check has
a granularity of one second). Each load makes modules of its own, of the entry and of every library
that it reaches, each library once, so two actors of one process share no globals; what they share
is the compiled code. `module:` goes through the importer, with Python's own rules.

The modules of an actor are named by their entries and its number, `app:handler/3`, `app:texts/3`:
dataclasses, pickle and type hints look a class's module up by its name, and must find that one.
"""

from __future__ import annotations

import difflib
import importlib
import math
import sys
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from wippy.core.messages import CodeRef, LibraryRef
from wippy.errors import Invalid, NotFound
from wippy.runtime import compiled
from wippy.runtime.context import NotNeededSignal
from wippy.runtime.judge import exit_status

QUICK_S = 0.001
"""A load that takes no longer than this may hold up an event loop; a thread costs a tenth."""

Entry = Callable[..., Any]

_libraries_of: dict[str, tuple[str, ...]] = {}
"""Names of the modules of the libraries that were loaded for a module, by its name."""


def load(code: CodeRef, name: str) -> Entry:
    """Load `code` and all that it imports; return its entry function.

    Args:
        code: Where the code is.
        name: Name of the module that source code becomes: the entry's id, and in a pool
            `/` and the actor's number. Its libraries take the same number.

    Raises:
        NotFound: There is no such file, module or function.
        Invalid: It cannot be read or compiled, or raised while it was loaded (its `__cause__`).
    """
    if code.search_path:
        put_first_on_path(code.search_path)
    number = name.partition("/")[2]
    names = {id: f"{id}/{number}" if number else id for id in code.libraries}
    if names:
        _libraries_of[name] = tuple(names.values())
    modules: dict[str, ModuleType] = {}
    try:
        # Their order is one in which each comes after what it imports.
        for id, library in code.libraries.items():
            modules[id] = _module_of(library, names[id], modules)
        return _entry_of(_module_of(code, name, modules), code)
    except BaseException:
        unload(name)
        raise


def load_anew(code: CodeRef, name: str) -> Entry:
    """Do what `load` does, importing a `module:` again: only itself, nothing that it imports.

    Who runs the old module keeps it; who imports it from now on gets the new one. If that cannot be
    loaded, all stays as it was.
    """
    if code.module is None:
        return load(code, name)
    old = sys.modules.pop(code.module, None)
    try:
        return load(code, name)
    except BaseException:
        if old is not None:
            sys.modules[code.module] = old
        raise


def forget_module(name: str) -> None:
    """Have the next `load` of the `module:` `name` import it again."""
    sys.modules.pop(name, None)


def unload(name: str) -> None:
    """Forget the modules that `load` made of source code."""
    sys.modules.pop(name, None)
    for library in _libraries_of.pop(name, ()):
        sys.modules.pop(library, None)


def is_quick(code: CodeRef) -> bool:
    """Say whether `load` would hardly take longer than `QUICK_S`: all of it was loaded here before,
    has not changed since, and took no longer then."""
    parts: list[CodeRef | LibraryRef] = [code, *code.libraries.values()]
    return sum(map(_last_took_s, parts)) <= QUICK_S


def put_first_on_path(folder: str) -> None:
    """Make `folder` the first on `sys.path`."""
    if sys.path[:1] != [folder]:
        sys.path[:] = [folder, *(path for path in sys.path if path != folder)]


def _last_took_s(code: CodeRef | LibraryRef) -> float:
    if code.module is not None:
        return 0.0 if code.module in sys.modules else math.inf
    source = compiled.find(code)
    return math.inf if source is None else source.took_s


def _module_of(
    code: CodeRef | LibraryRef, name: str, modules: Mapping[str, ModuleType]
) -> ModuleType:
    if code.module is not None:
        if code.imports:
            # An imported module belongs to the whole process, its libraries to one actor.
            raise Invalid(f"module {code.module} cannot have 'imports': only source code can")
        search_path = code.search_path if isinstance(code, CodeRef) else None
        return _import(code.module, search_path)
    if code.path is not None:
        where = code.path
        is_sent = code.text is not None
        source = compiled.of_sent(code.text or "", where) if is_sent else compiled.of_file(where)
    elif code.text is not None:
        where = code.origin or f"<{name}>"
        source = compiled.of_text(code.text, where)
    else:
        raise Invalid("the code has neither 'source' nor 'module'")
    module = ModuleType(name)
    # It is in no package: `from . import` says so, instead of taking the namespace for one.
    module.__package__ = ""
    if code.path is not None:
        module.__file__ = code.path
    for alias, id in code.imports.items():
        if id not in modules:
            raise Invalid(f"{where} imports {id}, which is not there")
        setattr(module, alias, modules[id])
    _execute(source, module, where)
    return module


def _execute(source: compiled.Source, module: ModuleType, where: str) -> None:
    sys.modules[module.__name__] = module
    began_s = time.perf_counter()
    _run_user_code(lambda: exec(source.code, module.__dict__), where)
    source.took_s = time.perf_counter() - began_s


def _import(name: str, search_path: str | None) -> ModuleType:
    if name not in sys.modules:
        importlib.invalidate_caches()  # a file made a moment ago must be found
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
