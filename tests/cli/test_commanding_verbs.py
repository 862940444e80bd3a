"""stop, start, restart, kill and spawn against a fake root."""

from __future__ import annotations

import io
import json
import signal
import sys

import pytest
from command_runs import Cli
from control_root import ControlRoot

from supervisor.cli.commands.kill import parse_signal, signal_name
from supervisor.cli.commands.spawn import parse_args
from supervisor.core.requests import Kill, Restart, Spawn, Start, Stop
from wippy.errors import Invalid, NotFound


class Terminal(io.StringIO):
    """Somebody at a terminal who types this."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Make stdin and stderr a terminal; the argument is what is typed."""

    def type_in(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal(text))
        monkeypatch.setattr(sys, "stderr", Terminal())

    return type_in


def verbs(root: ControlRoot) -> list[object]:
    return [request.verb for request in root.requests]


@pytest.mark.parametrize(
    ("args", "verb"),
    [
        (["stop", "app:db"], Stop("app:db")),
        (["start", "app:db"], Start("app:db")),
        (["restart", "app:db"], Restart("app:db")),
        (["kill", "app:db"], Kill("app:db", signal.SIGTERM)),
        (["kill", "app:db", "-s", "KILL"], Kill("app:db", signal.SIGKILL)),
        (["kill", "4711", "--signal", "STOP"], Kill("4711", signal.SIGSTOP)),
        (["spawn", "app:ingest"], Spawn("app:ingest")),
        (["spawn", "app:ingest", '[1, {"a": null}]'], Spawn("app:ingest", (1, {"a": None}))),
    ],
)
def test_a_command_is_sent_as_it_was_meant(
    args: list[str], verb: object, root: ControlRoot, cli: Cli
) -> None:
    code, out, _ = cli(*args)
    assert code == 0
    assert out.strip()
    assert verbs(root) == [verb]


def test_an_unknown_id_is_code_4_with_the_nearest(root: ControlRoot, cli: Cli) -> None:
    for verb in ("stop", "start", "restart", "spawn"):
        code, out, err = cli(verb, "app:bd")
        assert (code, out) == (4, "")
        assert "did you mean 'app:db'?" in err


def test_a_pid_of_elsewhere_is_said_to_be_none_of_this_node(
    root: ControlRoot, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(verb: object) -> None:
        raise NotFound("pid 1 is no process of this node")

    monkeypatch.setattr(root, "_answer", refuse)
    assert cli("kill", "1") == (4, "", "error: pid 1 is no process of this node\n")


def test_on_a_terminal_what_takes_down_many_is_asked_about(
    root: ControlRoot, cli: Cli, monkeypatch: pytest.MonkeyPatch, typed: object
) -> None:
    import msgspec
    from control_root import VIEW

    from supervisor.core.requests import ViewAnswer

    rows = tuple(msgspec.structs.replace(row, os_pid=1000 + n) for n, row in enumerate(VIEW.rows))
    view = msgspec.structs.replace(VIEW, rows=rows)
    monkeypatch.setattr(root, "_answer", lambda verb: ViewAnswer(view))
    typed("n\n")  # type: ignore[operator]
    assert cli("stop", "app:ingest").code == 1
    assert Stop("app:ingest") not in verbs(root)
    typed("y\n")  # type: ignore[operator]
    cli("stop", "app:ingest")
    assert verbs(root)[-1] == Stop("app:ingest")
    typed("")  # type: ignore[operator]
    cli("restart", "app:ingest", "--yes")
    assert verbs(root)[-1] == Restart("app:ingest")


@pytest.mark.parametrize("text", ["KILL", "SIGKILL", "kill", "sigkill", "9"])
def test_signals_are_written_as_people_do(text: str) -> None:
    assert parse_signal(text) == signal.SIGKILL


@pytest.mark.parametrize("text", ["KIL", "SIGKIL", "999", "-9", "", "0x9"])
def test_no_such_signal_is_an_error(text: str) -> None:
    with pytest.raises(Invalid, match="no such signal"):
        parse_signal(text)


def test_a_mistyped_signal_gets_the_nearest() -> None:
    with pytest.raises(Invalid, match=r"did you mean KILL\?"):
        parse_signal("KIL")


def test_signal_names() -> None:
    assert signal_name(9) == "SIGKILL"
    assert signal_name(40) == "signal 40"


@pytest.mark.parametrize("text", ["{}", "1", '"a"', "[", "", "[1,]"])
def test_arguments_are_a_json_list_or_an_error(text: str) -> None:
    with pytest.raises(Invalid, match="is no JSON list of arguments"):
        parse_args(text)


def test_spawn_says_the_new_id(root: ControlRoot, cli: Cli, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    from supervisor.core.requests import Done

    monkeypatch.setattr(root, "_answer", lambda verb: Done(id="app:ingest#3"))
    assert cli("spawn", "app:ingest").out == "app:ingest#3\n"
    assert json.loads(cli("spawn", "app:ingest", "--json").out) == {
        "schema": 1,
        "id": "app:ingest#3",
    }
