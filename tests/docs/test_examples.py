"""What the documents show exists: links, commands, configurations, code, tables."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path
from typing import get_args

import pytest
import typer
from fences import DOCUMENTS, REPOSITORY, Fence, commands, fences, prose

from supervisor.cli.exit_codes import ExitCode
from supervisor.cli.main import VERBS, load_verb
from supervisor.core import requests
from supervisor.core.spec import Restart, Strategy
from supervisor.io.files import load
from wippy.core import messages
from wippy.core.reasons import ExitReason

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_SOURCE = re.compile(r"file://([\w.]+)")
_METHOD = re.compile(r"method: *(\w+)")
HEAD = 'version: "1.0"\nnamespace: app\n'
USAGE_ERROR = typer.BadParameter.__mro__[1]
"""Whichever click typer is built on: some versions have their own."""
SCRIPTS = {"scripts/run", "scripts/test", "scripts/check", "scripts/bench", "scripts/build"}


# --- links ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    broken = []
    for target in _LINK.findall(prose(document)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (document.parent / name).resolve() if name else document
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert not broken


def test_the_index_names_every_document() -> None:
    index = (REPOSITORY / "docs" / "README.md").read_text()
    documents = {path for path in DOCUMENTS if "decisions" not in path.parts}
    own = {REPOSITORY / "docs" / "README.md", REPOSITORY / "CHANGELOG.md"}
    linked = {(REPOSITORY / "docs" / it).resolve() for it in _LINK.findall(index)}
    assert not {str(path) for path in documents - own - linked}


def _anchors(file: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = _HEADING.findall(prose(file))
    return {re.sub(r"[^\w\- ]", "", it).strip().lower().replace(" ", "-") for it in headings}


# --- commands ------------------------------------------------------------------------------------


def test_every_command_shown_is_one_that_its_verb_accepts() -> None:
    wrong = [f"{place}: {shown}: {why}" for place, shown in commands() if (why := _refusal(shown))]
    assert not wrong, "\n".join(wrong)


def _refusal(command: list[str]) -> str:
    """Return why the command would be refused; empty if it would not. Nothing is run."""
    first, *arguments = command
    if first.startswith("scripts/"):
        return "" if (REPOSITORY / first).is_file() else "no such script"
    if not arguments or arguments[0].startswith("-"):
        return ""
    verb, *rest = arguments
    if verb not in VERBS:
        return f"no verb {verb!r}"
    if not rest:
        return ""  # the verb itself is spoken of
    command, name = load_verb(verb), verb
    try:
        context = command.make_context(name, list(rest))
        if hasattr(command, "commands"):
            # A verb with several commands: `registry set ...`.
            name, action, rest = command.resolve_command(context, rest)
            action.make_context(name, list(rest), parent=context)
    except typer.Exit:
        return ""  # --help
    except USAGE_ERROR as error:
        return error.format_message()
    return ""


def test_the_scripts_that_the_documents_promise_are_there() -> None:
    assert {it for it in SCRIPTS if not (REPOSITORY / it).is_file()} == set()


# --- configurations and code ---------------------------------------------------------------------


@pytest.mark.parametrize("fence", fences("yaml"), ids=str)
def test_every_configuration_shown_is_valid(fence: Fence, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(_whole(fence.text))
    for source in set(_SOURCE.findall(fence.text)):
        (tmp_path / source).write_text(_code_for(fence))
    load(tmp_path / "app.yaml", environ={})


def _whole(text: str) -> str:
    """Return a fragment put into the smallest file that it can stand in."""
    first = next(line for line in text.splitlines() if line and not line.startswith("#"))
    if re.match(r"(version|namespace|entries)\b", first):
        return text
    if first.startswith("runtime:"):
        return HEAD + text
    if first.startswith("- "):
        return f"{HEAD}entries:\n" + textwrap.indent(text, "  ")
    service = "  - name: it\n    kind: exec.service\n    command: [sleep, '1000']\n"
    return f"{HEAD}entries:\n{service}" + textwrap.indent(text, "    ")


def _code_for(fence: Fence) -> str:
    """Return the Python that the same document shows, and a stub for each method it does not."""
    shown = [it.text for it in fences("python") if it.document == fence.document]
    code = "\n".join(shown)
    known = {node.name for node in ast.walk(ast.parse(code)) if _is_function(node)}
    stubs = sorted(set(_METHOD.findall(fence.text)) - known)
    return code + "".join(f"\n\nasync def {name}(*args):\n    ...\n" for name in stubs)


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


@pytest.mark.parametrize("fence", fences("python"), ids=str)
def test_every_python_example_compiles_and_imports_what_is_there(fence: Fence) -> None:
    tree = ast.parse(fence.text)
    compile(tree, str(fence), "exec")
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), str(fence), "exec"), {})


def test_every_fence_has_a_language_that_is_looked_at_or_is_a_picture() -> None:
    looked_at = {"", "sh", "console", "yaml", "python", "ini", "dockerfile"}
    assert {f"{it}: {it.language}" for it in fences() if it.language not in looked_at} == set()


# --- tables --------------------------------------------------------------------------------------


def test_every_exit_reason_strategy_and_restart_type_is_explained() -> None:
    text = (REPOSITORY / "docs" / "supervision.md").read_text()
    names = {str(cls.__struct_config__.tag) for cls in get_args(ExitReason)}
    # `noproc` is an answer about a process that is not there; nothing ever ends with it.
    names -= {"noproc"}
    names |= {str(it) for it in (*Restart, *Strategy)}
    assert {it for it in names if f"`{it}`" not in text} == set()


def test_every_exit_code_is_explained() -> None:
    text = (REPOSITORY / "docs" / "exit-codes.md").read_text()
    assert {it.name for it in ExitCode if f"| {it.value} | {it.name} |" not in text} == set()


def test_every_frame_is_in_the_protocol() -> None:
    text = (REPOSITORY / "docs" / "protocol.md").read_text()
    unions = (messages.FromProcess, messages.ToProcess, messages.Job)
    unions += (requests.Verb, requests.Answer, requests.ToClient)
    tags = {str(cls.__struct_config__.tag) for union in unions for cls in get_args(union)}
    assert {it for it in tags if f"`{it}`" not in text} == set()


def test_every_verb_is_shown_somewhere() -> None:
    assert set(VERBS) - {word for _, command in commands() for word in command[1:2]} == set()
