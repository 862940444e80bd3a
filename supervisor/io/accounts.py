"""Users and groups of this machine: their numbers, and who a command is to be run as."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass

from wippy.core.login import login_environment

MAX_ID = 2**32 - 2
"""The largest uid and gid; the one above means "leave it as it is" (chown(2))."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who a command is run as; `env` is what goes with the user, empty for a mere group."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    env: dict[str, str]


def find_uid(user: str) -> int | None:
    """Return the number of a user, given by name or number; None if there is none."""
    if _is_number(user):
        return _in_range(int(user))
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def find_gid(group: str) -> int | None:
    """Return the number of a group, given by name or number; None if there is none."""
    if _is_number(group):
        return _in_range(int(group))
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def account_of(user: str | None, group: str | None) -> Account | None:
    """Return who a command of a child with this `user` and `group` is run as.

    None is the runtime's own user: nothing else was asked for, it may not become another, or the
    account is gone since the configuration was read (its child cannot start either).
    """
    if os.geteuid() != 0 or (user is None and group is None):
        return None
    gid = None if group is None else find_gid(group)
    if user is None:
        return None if gid is None else Account(0, gid, (gid,), {})
    uid = find_uid(user)
    try:
        entry = None if uid is None else pwd.getpwuid(uid)
    except KeyError:
        entry = None
    if entry is None:
        return None
    own = entry.pw_gid if gid is None else gid
    groups = tuple(os.getgrouplist(entry.pw_name, own))
    env = login_environment(entry.pw_name, uid=entry.pw_uid, home=entry.pw_dir)
    return Account(entry.pw_uid, own, groups, env)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _in_range(number: int) -> int | None:
    return number if number <= MAX_ID else None
