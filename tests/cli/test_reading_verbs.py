"""status, tree, events, history and why against a fake root."""

from __future__ import annotations

import json
from pathlib import Path

from command_runs import Cli
from control_root import ALL_UP, VIEW, ControlRoot

from supervisor.cli.commands.status import HEADINGS, counts
from supervisor.cli.commands.tree import nested
from supervisor.core.requests import (
    Answer,
    Facts,
    GetView,
    History,
    Verb,
    ViewAnswer,
    Why,
    WhyAnswer,
    WhyView,
)
from supervisor.core.view import NodeView
from wippy.errors import NotFound


def answering(short_dir: Path, view: NodeView) -> ControlRoot:
    run_dir = short_dir / "x" / "only"
    run_dir.mkdir(parents=True)
    return ControlRoot(run_dir, lambda verb: ViewAnswer(view))


def test_status_shows_every_child_and_ends_with_3_when_one_is_not_up(
    root: ControlRoot, cli: Cli
) -> None:
    code, out, err = cli("status")
    assert (code, err) == (3, "")
    lines = out.splitlines()
    assert lines[0].startswith("node shop: running, up 3m12s, root 4242, registry 7")
    assert " ".join(lines[1].split()) == " ".join(HEADINGS)
    assert [line.split()[2] for line in lines[2:-1]] == [row.id for row in VIEW.rows]
    assert "SIGKILL" in lines[5]
    assert "next try in 3s" in lines[5]
    assert lines[-1] == "5: 3 up, 1 backoff, 1 stopped"


def test_status_ends_with_0_when_all_is_up(short_dir: Path, cli: Cli) -> None:
    with answering(short_dir, ALL_UP):
        assert cli("status").code == 0


def test_a_child_that_an_operator_stopped_is_no_reason_for_3(root: ControlRoot, cli: Cli) -> None:
    assert cli("status", "app:redis").code == 0


def test_status_of_a_supervisor_shows_what_is_below_it(root: ControlRoot, cli: Cli) -> None:
    _, out, _ = cli("status", "app:ingest", "--json")
    assert [row["id"] for row in json.loads(out)["rows"]] == ["app:ingest", "app:db", "app:worker"]


def test_an_id_that_does_not_exist_is_code_4_with_the_nearest(root: ControlRoot, cli: Cli) -> None:
    for verb in ("status", "tree", "events"):
        code, _, err = cli(verb, "app:wroker")
        assert code == 4
        assert "no child 'app:wroker' in this node; did you mean 'app:worker'?" in err


def test_a_bare_name_finds_the_id_with_its_namespace(root: ControlRoot, cli: Cli) -> None:
    assert "did you mean 'app:worker'?" in cli("status", "worker").err


def test_status_json_has_schema_1_times_in_utc_and_tagged_reasons(
    root: ControlRoot, cli: Cli
) -> None:
    code, out, _ = cli("status", "--json")
    answer = json.loads(out)
    assert code == 3
    assert answer["schema"] == 1
    assert answer["at"] == "2023-11-14T22:13:20.250Z"
    worker = answer["rows"][3]
    assert worker["last_exit"] == {"reason": "signal", "number": 9}
    assert answer["rows"][2]["memory_bytes"] == 8_000_000
    assert answer["facts"][1]["at"] == "2023-11-14T22:13:21.000Z"


def test_a_piped_table_is_never_cut(root: ControlRoot, cli: Cli) -> None:
    assert "…" not in cli("status").out


def test_status_colours_only_where_it_is_wanted(root: ControlRoot, cli: Cli) -> None:
    assert "\x1b[" not in cli("status").out
    assert "\x1b[33m" in cli("status", "--color", "always").out
    code, _, err = cli("status", "--color", "pink")
    assert (code, err) == (1, "error: --color pink: must be auto, always or never\n")


def test_counts_name_the_most_common_state_first() -> None:
    assert counts(list(VIEW.rows)) == "5: 3 up, 1 backoff, 1 stopped"


def test_tree_draws_who_supervises_whom_as_the_live_tree_does(root: ControlRoot, cli: Cli) -> None:
    code, out, _ = cli("tree")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("node shop: running")
    drawn = [line.partition(row.id)[0] for line, row in zip(lines[2:], VIEW.rows, strict=True)]
    assert [it.replace("↻", "●").replace("○", "●") for it in drawn] == [
        " ● ",
        " ├─ ● ",
        " │  ├─ ● ",
        " │  └─ ● ",
        " └─ ● ",
    ]
    assert "rest_for_one 1/3 in 5s" in lines[3]


def test_tree_of_a_supervisor_begins_with_it(root: ControlRoot, cli: Cli) -> None:
    lines = cli("tree", "app:ingest").out.splitlines()
    assert lines[2].startswith(" ● app:ingest")
    assert len(lines) == 2 + 3


def test_tree_json_nests_children(root: ControlRoot, cli: Cli) -> None:
    answer = json.loads(cli("tree", "--json").out)
    assert answer["schema"] == 1
    (top,) = answer["tree"]
    assert [it["id"] for it in top["children"]] == ["app:ingest", "app:redis"]
    assert [it["id"] for it in top["children"][0]["children"]] == ["app:db", "app:worker"]


def test_a_row_that_is_its_own_parent_does_not_nest_for_ever() -> None:
    import msgspec

    top = msgspec.structs.replace(VIEW.rows[0], parent="wippy:root")
    assert [it["id"] for it in nested([top])] == ["wippy:root"]


def test_events_are_lines_for_people_and_for_programs(root: ControlRoot, cli: Cli) -> None:
    code, out, _ = cli("events")
    assert code == 0
    assert "app:worker  pid 99 killed by SIGKILL after 3.2s" in out
    lines = [json.loads(line) for line in cli("events", "--json").out.splitlines()]
    assert [(it["schema"], it["kind"]) for it in lines] == [(1, "starting"), (1, "exited")]


def test_events_of_one_child(root: ControlRoot, cli: Cli) -> None:
    assert len(cli("events", "app:worker").out.splitlines()) == 1


def test_history_asks_for_the_child_and_the_limit(short_dir: Path, cli: Cli) -> None:
    asked: list[Verb] = []

    def answer(verb: Verb) -> Answer:
        asked.append(verb)
        return Facts(VIEW.facts)

    run_dir = short_dir / "x" / "only"
    run_dir.mkdir(parents=True)
    with ControlRoot(run_dir, answer):
        code, out, _ = cli("history", "app:worker", "-n", "5", "--json")
        assert cli("history").out.startswith("2023-11-1")
    assert code == 0
    assert asked[0] == History("app:worker", 5)
    facts = json.loads(out)["facts"]
    assert facts[1]["reason"] == {"reason": "signal", "number": 9}
    assert facts[0]["at"] == "2023-11-14T22:13:20.000Z"


def test_why_renders_for_people_and_gives_json(short_dir: Path, cli: Cli) -> None:
    def answer(verb: Verb) -> Answer:
        match verb:
            case Why("app:worker"):
                return WhyAnswer(WhyView(view=VIEW, facts=VIEW.facts, next="a restart in 3 s"))
            case GetView():
                return ViewAnswer(VIEW)
        raise NotFound("no such child")

    run_dir = short_dir / "x" / "only"
    run_dir.mkdir(parents=True)
    with ControlRoot(run_dir, answer):
        assert "a restart in 3 s" in cli("why", "app:worker").out
        answered = json.loads(cli("why", "app:worker", "--json").out)
        assert (answered["schema"], answered["next"]) == (1, "a restart in 3 s")
        code, _, err = cli("why", "app:wrker")
        assert code == 4
        assert "did you mean 'app:worker'?" in err
