"""The slot of a command that talks to actors."""

from __future__ import annotations

import pytest

from supervisor.core.client_slot import client_slot, parse_client_slot
from wippy.core.ids import ENTRY_ID, Pid


def test_a_slot_says_which_os_process_it_is() -> None:
    assert parse_client_slot(client_slot(4711, 88123)) == (4711, 88123)


def test_it_is_the_id_of_no_child_and_stands_in_a_pid() -> None:
    slot = client_slot(4194304, 10**17)
    assert ENTRY_ID.match(slot) is None
    assert Pid.parse(str(Pid("node", slot, 1))).slot == slot


@pytest.mark.parametrize(
    "slot",
    ["", "cli", "cli~1", "cli~0~1", "cli~-1~1", "cli~1~1\n", "cli~9999999999~1", "a:b~12345678"],
)
def test_any_other_slot_is_none(slot: str) -> None:
    assert parse_client_slot(slot) is None
