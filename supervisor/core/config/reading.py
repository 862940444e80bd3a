"""What is carried along while one document is read: where it came from, what was found wrong."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor.core.config.nodes import Atom, Cursor, Scalar, describe, path_text, resolve
from supervisor.core.config.parse import line_at
from supervisor.core.config.problems import Problem
from supervisor.core.spec import Place

_ENV = re.compile(r"\$\$\{|\$\{env:(?P<body>[^}]*)(?P<end>\}?)")
_ENV_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


class Role(enum.StrEnum):
    """What one entry wants of another."""

    CHILD = "lists"
    REQUIRES = "requires"
    HOST = "runs in"
    POOL = "is called in"
    CODE = "runs"
    IMPORT = "imports"
    TEMPLATE = "makes its children from"
    POLICY = "is governed by"


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry names another."""

    owner: str
    role: Role
    target: str
    cursor: Cursor
    place: Place
    line: str


class Bad(Exception):
    """A value that cannot be used; the problem is already noted, or is `problem`."""

    def __init__(self, problem: Problem | None = None) -> None:
        super().__init__(problem.message if problem else "")
        self.problem = problem


@dataclass(slots=True)
class Reading:
    """The reading of one document; problems and references are collected in it.

    Attributes:
        folder: Folder of the file, absolute: where relative paths start.
        lines: The file's lines.
        environ: What `${env:NAME}` reads.
        namespace: Of the file.
        owner: Id of the entry that is being read; empty outside of entries.
        file_path: The file, absolute.
        is_document: It is a document of the registry: variables have been filled in already.
        code_at: For a document: `file:line` of its inline code, where that is known.
    """

    folder: str
    file_path: str
    lines: tuple[str, ...]
    environ: Mapping[str, str]
    is_document: bool = False
    code_at: str = ""
    namespace: str = ""
    owner: str = ""
    owner_depth: int = 0
    problems: list[Problem] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)

    def problem(self, cursor: Cursor, message: str, hint: str = "") -> Problem:
        """Return a problem at `cursor`."""
        place = cursor.node.place
        return Problem(
            place=place,
            path=path_text(cursor.path),
            message=message,
            hint=hint,
            line=line_at(self.lines, place.line),
        )

    def note(self, cursor: Cursor, message: str, hint: str = "") -> None:
        """Note a problem and go on."""
        self.problems.append(self.problem(cursor, message, hint))

    def bad(self, cursor: Cursor, message: str, hint: str = "") -> Bad:
        """Return the exception for a value that cannot be used."""
        return Bad(self.problem(cursor, message, hint))

    def refer(self, cursor: Cursor, role: Role, target: str) -> None:
        """Note that the entry being read names another."""
        place = cursor.node.place
        line = line_at(self.lines, place.line)
        self.references.append(Reference(self.owner, role, target, cursor, place, line))

    def where(self, path: tuple[str | int, ...]) -> str:
        """Return in words what the mapping at `path` belongs to: `lifecycle of app:web`."""
        inner = path_text(path[self.owner_depth :] if self.owner else path)
        if not self.owner:
            return inner or "the document"
        return f"{inner} of {self.owner}" if inner else self.owner

    def scalar(self, cursor: Cursor, wanted: str) -> Scalar:
        """Return the scalar at `cursor`, `${env:...}` replaced; `Bad` where it is no scalar."""
        node = cursor.node
        if not isinstance(node, Scalar):
            raise self.bad(cursor, f"{self.name(cursor)} must be {wanted}, not {describe(node)}")
        return Scalar(node.place, self.substitute(cursor, node.text), node.style)

    def text(self, cursor: Cursor, wanted: str = "a string") -> str:
        """Return the string at `cursor`; `Bad` where it is none. A number is no string."""
        scalar = self.scalar(cursor, wanted)
        assert isinstance(cursor.node, Scalar)
        if not isinstance(cursor.node.value(), str):
            message = f"{self.name(cursor)} must be {wanted}, not {describe(cursor.node)}"
            raise self.bad(cursor, message)
        return scalar.text

    def atom(self, cursor: Cursor, wanted: str) -> tuple[Atom, Scalar]:
        """Return (value, scalar) at `cursor`.

        A quoted number is a string, but a quoted variable is what it stands for: within `{}`
        YAML wants the quotes.
        """
        scalar = self.scalar(cursor, wanted)
        assert isinstance(cursor.node, Scalar)
        is_variable = scalar.text != cursor.node.text
        return (resolve(scalar.text) if is_variable else scalar.value()), scalar

    def name(self, cursor: Cursor) -> str:
        """Return the path of a value within its entry: `lifecycle.restart`."""
        inner = path_text(cursor.path[self.owner_depth :] if self.owner else cursor.path)
        return inner or "the document"

    def substitute(self, cursor: Cursor, text: str) -> str:
        """Return `text` with `${env:NAME}` and `${env:NAME:-default}` replaced.

        `$${` is a literal `${`. A variable that is not set and has no default is `Bad`: an empty
        string in its place would be found out late, by a program.
        """
        if "${" not in text or self.is_document:
            return text
        return _ENV.sub(lambda match: self._variable(cursor, match), text)

    def _variable(self, cursor: Cursor, match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        body = _ENV_BODY.fullmatch(match["body"]) if match["end"] else None
        if body is None:
            hint = "write ${env:NAME} or ${env:NAME:-default}"
            raise self.bad(cursor, f"malformed variable {match.group()!r}", hint)
        default: str | None = body["default"]
        value = self.environ.get(body["name"], default)
        if value is None:
            hint = f"set it, or give a default: ${{env:{body['name']}:-...}}"
            raise self.bad(cursor, f"environment variable {body['name']} is not set", hint)
        return value
