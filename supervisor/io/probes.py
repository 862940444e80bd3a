"""Readiness probes of foreign programs: `wait_ready` returns when one passes for the first time.

It tries for ever: the root cancels it at the start timeout, or at the program's death. An attempt
that fails, whatever the reason, is only followed by the next one; `Invalid` is for a probe that
can never pass.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from supervisor.core.spec import Probe, ProbeKind
from supervisor.io import probe_exec, probe_log, probe_net
from supervisor.io.accounts import Account
from supervisor.io.notify import NotifySocket
from wippy.errors import Invalid


async def wait_ready(
    probe: Probe,
    *,
    log_path: str | os.PathLike[str],
    log_offset: int,
    env: Mapping[str, str],
    cwd: str | os.PathLike[str] | None,
    notify: NotifySocket | None,
    account: Account | None = None,
) -> None:
    """Return once the program is ready by `probe`; runs in the event loop, never blocks it.

    Args:
        probe: What to try, how often.
        log_path: log: the program's log.
        log_offset: log: size of the log before the program was started.
        env: exec: the whole environment of the command.
        cwd: exec: its working folder; None is the own.
        notify: notify: the socket, listening to the program's session.
        account: exec: who runs the command; None is the own user.

    Raises:
        Invalid: The probe can never pass: a target that is none, no command, no socket.
    """
    match probe.kind:
        case ProbeKind.NONE:
            return
        case ProbeKind.NOTIFY:
            if notify is None:
                raise Invalid("a notify probe needs a notify socket")
            await notify.wait_ready()
        case ProbeKind.TCP:
            host, port = probe_net.split_address(probe.target)
            await _until(probe, lambda: probe_net.accepts(host, port))
        case ProbeKind.HTTP:
            url = probe_net.split_url(probe.target)
            await _until(probe, lambda: probe_net.answers(url))
        case ProbeKind.LOG:
            search = probe_log.Search(Path(log_path), log_offset, probe.target)
            await _until(probe, search.has_matched)
        case ProbeKind.EXEC:
            command = probe_exec.Command(probe.command, env=env, cwd=cwd, account=account)
            await _until(probe, command.succeeds)


async def _until(probe: Probe, attempt: Callable[[], Awaitable[bool]]) -> None:
    while True:
        try:
            async with asyncio.timeout(probe.timeout_s):
                if await attempt():
                    return
        except TimeoutError:
            pass  # of this attempt: the next one follows
        await asyncio.sleep(probe.interval_s)
