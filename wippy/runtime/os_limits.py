"""What a process applies to itself before any user code: resources, place, and who it is.

Order: what needs the rights of the runtime's user comes first (limits, niceness), then the user is
changed, then what must be judged with the new user's rights (the working folder). A failure leaves
a process that ends at once, so nothing half-applied is seen by anybody.

Memory is not limited here: the root watches resident memory, which is what `memory:` promises.
RLIMIT_AS and RLIMIT_DATA count address space, not memory: each thread's stack is 8 MiB of it, so
an idle actor of ours with 9 MiB of its own counts as tens of MiB, and a pool that runs plain
functions in threads would fail far below what it really uses.
"""

from __future__ import annotations

import grp
import os
import pwd
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wippy.core.login import login_environment
from wippy.core.messages import OsLimits
from wippy.errors import Invalid, NotFound, PermissionDenied


@dataclass(frozen=True, slots=True)
class Account:
    """Who a process is to be; `name` is empty where only the group changes."""

    name: str
    uid: int
    gid: int
    home: str


def apply(limits: OsLimits) -> None:
    """Apply `limits` to this process.

    Raises:
        WippyError: What could not be applied, and why.
    """
    account = find_account(limits.user, limits.group)
    if limits.open_files is not None:
        _set_open_files(limits.open_files)
    if limits.nice is not None:
        with _explained(f"set the niceness to {limits.nice:+d}"):
            os.nice(limits.nice)
    if limits.umask is not None:
        os.umask(limits.umask)
    if account is not None:
        _become(account)
        os.environ.update(environment_of(account))
    os.environ.update(limits.env)
    if limits.cwd is not None:
        with _explained(f"enter the folder {limits.cwd}"):
            os.chdir(limits.cwd)


def find_account(user: str | None, group: str | None) -> Account | None:
    """Return who `user` and `group` (names or numbers) are; None where neither is given.

    Raises:
        NotFound: The machine has no such user or group.
    """
    if user is None and group is None:
        return None
    own_gid = None if group is None else _find_group(group)
    if user is None:
        return Account("", os.geteuid(), own_gid or 0, "")
    entry = _find_user(user)
    gid = entry.pw_gid if own_gid is None else own_gid
    return Account(entry.pw_name, entry.pw_uid, gid, entry.pw_dir)


def environment_of(account: Account) -> dict[str, str]:
    """Return the variables that go with `account` (login(1)); none for a mere group."""
    if not account.name:
        return {}
    return login_environment(account.name, uid=account.uid, home=account.home)


def _find_user(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise NotFound(f"cannot become user {user!r}: this machine has no such user") from None


def _find_group(group: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise NotFound(f"cannot join group {group!r}: this machine has no such group") from None


def _set_open_files(count: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with _explained(f"allow {count} open files (the hard limit is {hard})"):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
        except ValueError as error:
            # What Python makes of EPERM here, and of a count that is no limit.
            raise Invalid(f"cannot allow {count} open files: {error}") from error


def _become(account: Account) -> None:
    """Change groups first: afterwards there is no right to."""
    doing = f"become user {account.name!r}" if account.name else f"join group {account.gid}"
    if _is_already(account):
        return
    with _explained(doing):
        if account.name:
            os.initgroups(account.name, account.gid)
        else:
            os.setgroups([account.gid])
        os.setgid(account.gid)
        os.setuid(account.uid)


def _is_already(account: Account) -> bool:
    """An ordinary user may ask for what it is anyway; root's groups are always set anew."""
    return account.uid != 0 and (os.geteuid(), os.getegid()) == (account.uid, account.gid)


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    """Turn an OSError into one of ours that says what was tried."""
    try:
        yield
    except PermissionError as error:
        who = _own_name()
        raise PermissionDenied(
            f"cannot {doing}: {error.strerror}; the runtime runs as {who}"
        ) from None
    except OSError as error:
        raise Invalid(f"cannot {doing}: {error.strerror}") from None


def _own_name() -> str:
    try:
        return repr(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        return f"user {os.geteuid()}"
