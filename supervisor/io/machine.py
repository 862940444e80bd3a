"""What only this machine can say of a configuration: its users, groups, folders and limits."""

from __future__ import annotations

import grp
import os
import pwd
import resource
from collections.abc import Iterable, Iterator

from supervisor.core.config.decode import Draft
from supervisor.core.config.problems import Problem, did_you_mean
from supervisor.core.spec import ExecEntry, HostEntry, Limits, ServiceEntry
from supervisor.io.accounts import find_gid, find_uid


def judge(drafts: Iterable[Draft]) -> list[Problem]:
    """Return what this machine has not, or does not allow this user."""
    return [problem for draft in drafts for problem in _judge_one(draft)]


def _judge_one(draft: Draft) -> Iterator[Problem]:
    entry = draft.entry
    if not isinstance(entry, HostEntry | ServiceEntry | ExecEntry):
        return
    limits = entry.limits
    found = {
        "user": _user(limits),
        "group": _group(limits),
        "cwd": _cwd(limits),
        "nice": _nice(limits),
        "open_files": _open_files(limits),
    }
    for key, (message, hint) in found.items():
        if message:
            yield draft.reading.problem(draft.cursor.at(key), f"{draft.id}: {message}", hint)


Finding = tuple[str, str]
"""A message and a hint; an empty message is fine."""
FINE: Finding = ("", "")


def _user(limits: Limits) -> Finding:
    name = limits.user
    if name is None:
        return FINE
    uid = find_uid(name)
    if uid is None:
        known = (entry.pw_name for entry in pwd.getpwall())
        return f"there is no user {name!r} on this machine", did_you_mean(name, known)
    if os.geteuid() not in {0, uid}:
        return _may_not(f"user {name!r}")
    return FINE


def _group(limits: Limits) -> Finding:
    name = limits.group
    if name is None:
        return FINE
    gid = find_gid(name)
    if gid is None:
        known = (entry.gr_name for entry in grp.getgrall())
        return f"there is no group {name!r} on this machine", did_you_mean(name, known)
    if os.geteuid() != 0 and gid != os.getegid():
        return _may_not(f"group {name!r}")
    return FINE


def _may_not(whom: str) -> Finding:
    return f"no permission to become {whom}", "start the runtime as root, or leave it out"


def _cwd(limits: Limits) -> Finding:
    if limits.cwd is None or os.path.isdir(limits.cwd):
        return FINE
    if os.path.lexists(limits.cwd):
        return f"cwd {limits.cwd} is no folder", ""
    return f"cwd {limits.cwd} does not exist", ""


def _nice(limits: Limits) -> Finding:
    if limits.nice is None or limits.nice >= 0 or os.geteuid() == 0:
        return FINE
    lowest = 20 - resource.getrlimit(resource.RLIMIT_NICE)[0]  # setrlimit(2)
    if os.getpriority(os.PRIO_PROCESS, 0) + limits.nice >= lowest:
        return FINE
    return f"no permission for nice {limits.nice}", "only root may lower it"


def _open_files(limits: Limits) -> Finding:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limits.open_files is None or os.geteuid() == 0 or limits.open_files <= hard:
        return FINE
    return f"open_files {limits.open_files} is above this user's limit", f"at most {hard}"
