"""Limits of a process, applied before user code, and what is said when they cannot be."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from fake_root import FakeRoot

from wippy.core.messages import OsLimits, Ready
from wippy.core.reasons import Normal, StartFailed
from wippy.errors import NotFound
from wippy.runtime import os_limits

IS_ROOT = os.geteuid() == 0
REPORT = """
import os, resource
print(resource.getrlimit(resource.RLIMIT_NOFILE), os.getpriority(os.PRIO_PROCESS, 0))
print(oct(os.umask(0)), os.getcwd(), os.environ["WORD"])
async def main(): pass
"""


def test_limits_are_applied_before_the_first_line_of_user_code(
    root: FakeRoot, tmp_path: Path
) -> None:
    limits = OsLimits(open_files=123, nice=3, umask=0o027, cwd=str(tmp_path), env={"WORD": "given"})
    child = root.actor(REPORT, limits=limits)
    child.expect(Ready)
    assert child.ended() == Normal()
    niceness = os.getpriority(os.PRIO_PROCESS, 0) + 3
    assert root.log() == f"(123, 123) {niceness}\n0o27 {tmp_path} given\n"


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (OsLimits(cwd="/nowhere"), "cannot enter the folder /nowhere: No such file or directory"),
        (OsLimits(user="no-such-user"), "cannot become user 'no-such-user': this machine has no"),
        (OsLimits(group="no-such-group"), "cannot join group 'no-such-group': this machine has no"),
        (OsLimits(open_files=2**62), "cannot allow 4611686018427387904 open files"),
    ],
)
def test_limit_that_cannot_be_applied_is_a_failed_start_that_says_why(
    root: FakeRoot, limits: OsLimits, words: str
) -> None:
    child = root.actor("print('never')", limits=limits)
    reason = child.ended()
    assert isinstance(reason, StartFailed)
    assert words in reason.detail
    assert child.status() == 1
    assert "never" not in root.log()


def test_account_is_found_by_name_and_by_number() -> None:
    entry = pwd.getpwuid(os.getuid())
    by_name = os_limits.find_account(entry.pw_name, None)
    assert by_name == os_limits.find_account(str(entry.pw_uid), None)
    assert by_name is not None
    assert by_name.home == entry.pw_dir
    with pytest.raises(NotFound):
        os_limits.find_account("4294967290", None)
    assert os_limits.find_account(None, None) is None


def test_variables_of_the_account_are_those_of_a_login() -> None:
    account = os_limits.Account("shop", 1000, 1000, "/home/shop")
    assert os_limits.environment_of(account) == {
        "HOME": "/home/shop",
        "USER": "shop",
        "LOGNAME": "shop",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }


@pytest.mark.skipif(IS_ROOT, reason="root may become anybody")
def test_without_the_right_to_it_another_user_is_refused(root: FakeRoot) -> None:
    reason = root.actor("", limits=OsLimits(user="root")).ended()
    assert isinstance(reason, StartFailed)
    assert "cannot become user 'root': Operation not permitted" in reason.detail


@pytest.mark.skipif(not IS_ROOT, reason="only root may become somebody else")
@pytest.mark.parametrize("is_spare", [False, True])
def test_actor_becomes_the_user_and_still_talks_to_the_root(root: FakeRoot, is_spare: bool) -> None:
    from wippy.core.messages import Assign

    text = (
        "import os\nasync def main():\n"
        "    print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ['HOME'])\n"
        "    try:\n        os.setuid(0)\n    except PermissionError:\n        print('for good')\n"
    )
    nobody = pwd.getpwnam("nobody")
    job = root.actor_job(text, limits=OsLimits(user="nobody"))
    child = root.bear(None if is_spare else job)
    if is_spare:
        child.tell(Assign(job))
    child.expect(Ready)
    assert child.ended() == Normal()
    uids, gids = (nobody.pw_uid,) * 3, (nobody.pw_gid,) * 3
    groups = os.getgrouplist("nobody", nobody.pw_gid)
    assert root.log() == f"{uids} {gids} {groups} {nobody.pw_dir}\nfor good\n"


@pytest.mark.skipif(not IS_ROOT, reason="only root may become somebody else")
def test_dropped_user_is_refused_what_is_not_its_own(root: FakeRoot, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    reason = root.actor("", limits=OsLimits(user="nobody", cwd=str(closed))).ended()
    assert isinstance(reason, StartFailed)
    assert reason.detail.startswith(f"cannot enter the folder {closed}: Permission denied")
