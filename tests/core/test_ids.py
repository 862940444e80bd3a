"""Entry ids, slots and pids."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wippy.core.ids import MAX_ID_LENGTH, NODE, Pid, qualify, split_id, worker_slot
from wippy.errors import Invalid

names = st.from_regex(
    r"[A-Za-z_][A-Za-z0-9_-]{0,8}(\.[A-Za-z_][A-Za-z0-9_-]{0,8}){0,2}", fullmatch=True
)
numbers = st.integers(0, 10**18 - 1)


@given(names, names)
def test_an_id_is_split_into_what_it_was_made_of(namespace: str, name: str) -> None:
    assert split_id(f"{namespace}:{name}") == (namespace, name)


@pytest.mark.parametrize(
    "text", ["", "app", "app:", ":x", "app:x:y", "app:1x", "1app:x", "app: x", "app:x ", "app:x\n",
             "app:x/y", "app:x#1", "app..b:x", "app:.x", "äpp:x", "app:" + "x" * MAX_ID_LENGTH]
)  # fmt: skip
def test_what_is_no_id_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match=r"one looks like 'app\.workers:handler'"):
        split_id(text)


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (split_id, Pid.parse):
        with contextlib.suppress(Invalid):
            parse(text)


def test_the_longest_id_is_accepted() -> None:
    longest = "app:" + "x" * (MAX_ID_LENGTH - 4)
    assert split_id(longest)[1] == "x" * (MAX_ID_LENGTH - 4)


def test_a_bare_name_belongs_to_the_namespace() -> None:
    assert qualify("worker", "app") == "app:worker"
    assert qualify("other:worker", "app") == "other:worker"


@given(names, names, names, numbers, numbers)
def test_a_pid_says_where_an_actor_lives_and_is_read_back(
    node: str, namespace: str, name: str, generation: int, actor: int
) -> None:
    for slot in (f"{namespace}:{name}", worker_slot(f"{namespace}:{name}", 3)):
        pid = Pid(node, slot, generation, actor)
        assert Pid.parse(str(pid)) == pid


def test_a_pid_is_written_as_node_slot_generation_actor() -> None:
    assert str(Pid("n1", worker_slot("app:pool", 2), 3)) == "n1/app:pool#2.3/0"


@pytest.mark.parametrize(
    "text", ["", "n/app:x/0", "n/app:x.1", "n/app:x.1/", "n/app:x.one/0", "n/app:x.1/0/0",
             "/app:x.1/0", "n/.1/0", "n/app:x.1/0\n", "n/app:x.1/-1", f"n/app:x.{'9' * 5000}/0"]
)  # fmt: skip
def test_what_is_no_pid_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match="one looks like 'node/"):
        Pid.parse(text)


@pytest.mark.parametrize(("name", "is_one"), [("n1", True), ("a-b.c_d", True), ("", False),
                                               ("-a", False), ("a/b", False), ("a\n", False),
                                               ("a" * 63, True), ("a" * 64, False)])  # fmt: skip
def test_a_node_name_fits_a_file_name(name: str, is_one: bool) -> None:
    assert bool(NODE.match(name)) is is_one
