"""Users and groups of this machine."""

from __future__ import annotations

import os
import pwd

import pytest

from supervisor.io.accounts import account_of, find_gid, find_uid

NOBODY = pwd.getpwnam("nobody")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def test_users_and_groups_are_found_by_name_and_by_number() -> None:
    assert find_uid("nobody") == find_uid(str(NOBODY.pw_uid)) == NOBODY.pw_uid
    assert find_gid("root") == find_gid("0") == 0


@pytest.mark.parametrize("name", ["no-such-one", "4294967295", "٣", ""])
def test_what_is_no_account_is_none(name: str) -> None:
    assert find_uid(name) is None
    assert find_gid(name) is None


def test_who_asks_for_nobody_else_is_himself() -> None:
    assert account_of(None, None) is None


@needs_root
def test_a_user_comes_with_its_groups_and_its_variables() -> None:
    account = account_of("nobody", None)
    assert account is not None
    assert (account.uid, account.gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert account.groups == tuple(os.getgrouplist("nobody", NOBODY.pw_gid))
    assert (account.env["USER"], account.env["HOME"]) == ("nobody", NOBODY.pw_dir)


@needs_root
def test_a_group_alone_leaves_the_user() -> None:
    account = account_of(None, "daemon")
    assert account is not None
    assert (account.uid, account.gid, account.env) == (0, find_gid("daemon"), {})


@needs_root
@pytest.mark.parametrize(("user", "group"), [("no-such-one", None), (None, "no-such-one")])
def test_an_account_that_is_gone_is_none(user: str | None, group: str | None) -> None:
    assert account_of(user, group) is None
