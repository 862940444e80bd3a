"""What a Python source says about itself, found without running it."""

from __future__ import annotations

import ast
import warnings

import msgspec


class Broken(msgspec.Struct, frozen=True):
    """A source that is no Python: `line` and `column` from 1 (0 if not known)."""

    message: str
    line: int = 0
    column: int = 0
    text: str = ""


class Signature(msgspec.Struct, frozen=True):
    """How many positional arguments a function takes; `most` is None for `*args`."""

    least: int
    most: int | None


class Names(msgspec.Struct, frozen=True):
    """What a module defines.

    Attributes:
        functions: Signature by name; None where only running it could tell (a decorated function,
            a class, something assigned or imported).
        is_open: Whether it may define more: `from x import *`, `__getattr__`.
        certain: Those that it defines whenever it runs, outside of any `if` and `try`.
    """

    functions: dict[str, Signature | None]
    is_open: bool = False
    certain: frozenset[str] = frozenset()


def inspect(source: bytes | str, name: str) -> Names | Broken:
    """Return what `source` defines at its top level, or what is wrong with its syntax.

    Args:
        source: The source; bytes are decoded as Python does (PEP 263).
        name: File name to compile it under.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is the author's business
            tree = ast.parse(source, name)
            compile(tree, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = error.lineno or 0
        text = error.text or _line(source, line)  # the compiler proper knows no text
        message = error.msg or "invalid syntax"
        return Broken(message, line, error.offset or 0, text.rstrip("\r\n"))
    except (ValueError, RecursionError, MemoryError) as error:
        return Broken(str(error) or "too deeply nested")
    certain: dict[str, Signature | None] = {}
    _collect([each for each in tree.body if isinstance(each, _DEFINING)], certain)
    found: dict[str, Signature | None] = {}
    is_open = _collect(tree.body, found)
    return Names(found, is_open or "__getattr__" in found, frozenset(certain))


_DEFINING = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
)


def _line(source: bytes | str, number: int) -> str:
    text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
    lines = text.splitlines()
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _collect(body: list[ast.stmt], found: dict[str, Signature | None]) -> bool:
    """Add the names that `body` defines; return whether it may define others."""
    is_open = False
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found[statement.name] = None if statement.decorator_list else _signature(statement)
            case ast.ClassDef():
                found[statement.name] = None
            case ast.Import() | ast.ImportFrom():
                names = [alias.asname or alias.name.split(".")[0] for alias in statement.names]
                is_open = is_open or "*" in names
                found.update(dict.fromkeys(names))
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                found.update(dict.fromkeys(_targets(statement)))
            case ast.If(test=test) if _is_for_type_checkers(test):
                is_open = _collect(statement.orelse, found) or is_open
            case _:
                for part in ("body", "orelse", "finalbody"):
                    is_open = _collect(getattr(statement, part, []), found) or is_open
                for handler in getattr(statement, "handlers", []):
                    is_open = _collect(handler.body, found) or is_open
                for choice in getattr(statement, "cases", []):
                    is_open = _collect(choice.body, found) or is_open
    return is_open


def _is_for_type_checkers(test: ast.expr) -> bool:
    """Say whether this is `TYPE_CHECKING`, which is never true when code runs."""
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _targets(statement: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    ]


def _signature(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Signature | None:
    arguments = function.args
    if any(default is None for default in arguments.kw_defaults):
        return None  # keyword-only and required: a service cannot give it; running it will say so
    positional = len(arguments.posonlyargs) + len(arguments.args)
    most = None if arguments.vararg else positional
    return Signature(positional - len(arguments.defaults), most)
