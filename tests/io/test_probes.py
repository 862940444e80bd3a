"""Readiness probes against real sockets, files and commands."""

from __future__ import annotations

import array
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.core.spec import Probe, ProbeKind
from supervisor.io import notify as notify_module
from supervisor.io import probe_net, subreaper
from supervisor.io.notify import NotifySocket
from supervisor.io.os_process import all_pids
from supervisor.io.probes import wait_ready
from supervisor.io.rotation import rotate
from wippy.errors import Invalid, Unavailable

DEADLINE_S = 60.0
ME = os.getsid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="w-"))
    yield path
    shutil.rmtree(path)


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def within_deadline() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await main()

    asyncio.run(within_deadline())


async def ready(probe: Probe, **changes: Any) -> None:
    settings: dict[str, Any] = {
        "log_path": "/nonexistent",
        "log_offset": 0,
        "env": dict(os.environ),
        "cwd": None,
        "notify": None,
    }
    await wait_ready(probe, **(settings | changes))


async def turns(count: int = 20) -> None:
    """Let every task and callback that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(is_true: Callable[[], bool]) -> None:
    # Turns of the loop: there is no event to wait for.
    while not is_true():  # noqa: ASYNC110
        await asyncio.sleep(0)


def start(*command: str, **settings: Any) -> subprocess.Popen[bytes]:
    """Start a command as the leader of a session of its own."""
    return subprocess.Popen(command, start_new_session=True, **settings)


def probe(kind: ProbeKind, target: str = "", **fields: Any) -> Probe:
    return Probe(kind=kind, target=target, interval_s=0.005, **fields)


# --- none, tcp, http -----------------------------------------------------------------------------


def test_without_a_probe_a_program_is_ready_at_once() -> None:
    run(lambda: ready(Probe()))


def test_tcp_passes_as_soon_as_somebody_listens() -> None:
    async def main() -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert not await probe_net.accepts("127.0.0.1", port)
        waiting = asyncio.create_task(ready(probe(ProbeKind.TCP, f"127.0.0.1:{port}")))
        await turns()
        assert not waiting.done()
        listener.listen()
        await waiting
        listener.close()

    run(main)


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 399 x\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\nLocation: http://example.invalid/\r\n\r\n", True),
        (b"HTTP/1.1 400 Bad\r\n\r\n", False),
        (b"HTTP/1.1 503 Wait\r\n\r\n", False),
        (b"HTTP/1.1 199 Early\r\n\r\n", False),
        (b"HTTP/1.1 ", False),
        (b"", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
        (b"HTTP/1.1 \xff\xff\xff no\r\n\r\n", False),
        (b"x" * 100_000, False),
    ],
)
def test_http_passes_with_2xx_and_3xx_only(answer: bytes, passes: bool) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = probe_net.split_url(f"http://127.0.0.1:{port}/health?deep=1")
        assert await probe_net.answers(url) is passes
        assert asked[0].startswith(b"GET /health?deep=1 HTTP/1.1\r\nHost: 127.0.0.1:")
        server.close()

    run(main)


def test_an_attempt_that_hangs_is_given_up_and_tried_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 2:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await reader.read()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await ready(probe(ProbeKind.HTTP, f"http://127.0.0.1:{port}", timeout_s=0.05))
        assert connections > 2
        server.close()

    run(main)


@pytest.mark.parametrize(
    "target",
    ["", "host", "host:", ":80", "host:http", "host:99999", "host:1/x", "[::1:80", "u@h:1"],
)
def test_a_target_that_is_no_address_is_refused(target: str) -> None:
    with pytest.raises(Invalid):
        run(lambda: ready(probe(ProbeKind.TCP, target)))


@pytest.mark.parametrize(
    "target",
    [
        "",
        "localhost:80",
        "ftp://h/",
        "http://",
        "http://h:99999/",
        "http://h/\r\nX: y",
        "http://ü/",
    ],
)
def test_a_target_that_is_no_url_is_refused(target: str) -> None:
    with pytest.raises(Invalid):
        run(lambda: ready(probe(ProbeKind.HTTP, target)))


def test_addresses_of_both_families_are_understood() -> None:
    assert probe_net.split_address("[::1]:6379") == ("::1", 6379)
    assert probe_net.split_address("localhost:80") == ("localhost", 80)
    assert probe_net.split_url("https://h").port == 443


# --- log -----------------------------------------------------------------------------------------


def test_the_log_probe_sees_only_what_is_new_even_in_an_unfinished_line(tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    log.write_bytes(b"ready of the life before\n")

    async def main() -> None:
        waiting = asyncio.create_task(
            ready(
                probe(ProbeKind.LOG, r"ready .* \d+"),
                log_path=log,
                log_offset=log.stat().st_size,
            )
        )
        await turns()
        with log.open("ab", buffering=0) as file:
            file.write(b"starting\nrea")
            await turns()
            assert not waiting.done()
            file.write(b"dy on port 80")
        await waiting

    run(main)


def test_the_log_probe_goes_on_after_a_rotation_and_before_the_log_exists(tmp_path: Path) -> None:
    log = tmp_path / "app.log"

    async def main() -> None:
        waiting = asyncio.create_task(ready(probe(ProbeKind.LOG, "^up$"), log_path=log))
        await turns()
        log.write_bytes(b"noise\n" * 20_000)
        assert rotate(log, max_bytes=5000, backups=1)
        await turns()
        with log.open("ab") as file:
            file.write(b"up\n")
        await waiting

    run(main)


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(Invalid, match="regular expression"):
        run(lambda: ready(probe(ProbeKind.LOG, "(")))


# --- exec ----------------------------------------------------------------------------------------


def python(source: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source)


def test_a_command_passes_with_status_0_in_its_folder_and_environment(tmp_path: Path) -> None:
    source = "import os; raise SystemExit(not (os.path.exists('flag') and os.environ['A'] == 'b'))"

    async def main() -> None:
        waiting = asyncio.create_task(
            ready(probe(ProbeKind.EXEC, command=python(source)), cwd=tmp_path, env={"A": "b"})
        )
        await turns()
        (tmp_path / "flag").touch()
        await waiting

    run(main)
    assert not subreaper._claimed


def test_a_command_that_hangs_is_killed_with_its_group_and_reaped(tmp_path: Path) -> None:
    """The first run leaves a child in its group and hangs; the second passes if both are gone."""
    source = (
        "import os, signal, subprocess, sys, time\n"
        "if os.path.exists('pids'):\n"
        "    def lives(pid):\n"
        "        try:\n"
        "            return open(f'/proc/{pid}/stat').read().rpartition(')')[2].split()[0] != 'Z'\n"
        "        except FileNotFoundError:\n"
        "            return False\n"
        "    raise SystemExit(any(map(lives, open('pids').read().split())))\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'])\n"
        "open('pids.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename('pids.new', 'pids')\n"
        "signal.pause()\n"
    )

    async def main() -> None:
        await ready(probe(ProbeKind.EXEC, command=python(source), timeout_s=2.0), cwd=tmp_path)

    run(main)
    leader = int((tmp_path / "pids").read_text().split()[0])
    assert not Path(f"/proc/{leader}").exists()
    assert not subreaper._claimed


def test_a_cancelled_probe_leaves_no_command_running(tmp_path: Path) -> None:
    async def main() -> None:
        waiting = asyncio.create_task(
            ready(probe(ProbeKind.EXEC, command=python("import signal; signal.pause()")))
        )
        await until(lambda: bool(subreaper._claimed))
        (pid,) = subreaper._claimed
        assert pid not in subreaper.orphans(set())
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: not subreaper._claimed)
        assert pid not in all_pids()

    run(main)


def test_a_command_that_cannot_be_started_does_not_pass_but_may_later(tmp_path: Path) -> None:
    program = tmp_path / "program"

    async def main() -> None:
        waiting = asyncio.create_task(ready(probe(ProbeKind.EXEC, command=(str(program),))))
        await turns()
        assert not waiting.done()
        program.with_name("new").write_text("#!/bin/sh\nexit 0\n")
        program.with_name("new").chmod(0o755)
        program.with_name("new").rename(program)
        await waiting

    run(main)


def test_an_empty_command_is_refused() -> None:
    with pytest.raises(Invalid):
        run(lambda: ready(probe(ProbeKind.EXEC)))


# --- notify --------------------------------------------------------------------------------------


def tell(path: str, message: bytes, fds: tuple[int, ...] = ()) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        client.sendmsg([message], ancillary, 0, path)


def notified(folder: Path, main: Callable[[NotifySocket], Awaitable[None]]) -> None:
    async def with_socket() -> None:
        listener = NotifySocket(folder / "1")
        try:
            await main(listener)
        finally:
            listener.close()
        assert not (folder / "1").exists()

    run(with_socket)


def test_ready_is_heard_also_from_before_the_session_was_known(folder: Path) -> None:
    async def main(listener: NotifySocket) -> None:
        tell(listener.path, b"STATUS=loading \x1b[31m5%\nREADY=1\n")
        await turns()
        assert not listener.is_ready()
        listener.listen(ME)
        await ready(probe(ProbeKind.NOTIFY), notify=listener)
        assert listener.is_ready()
        assert listener.status == "loading 5%"
        assert not listener.is_stopping
        assert listener.refused == 0

    notified(folder, main)


def test_what_is_malformed_or_too_long_is_counted_and_harms_nobody(folder: Path) -> None:
    async def main(listener: NotifySocket) -> None:
        listener.listen(ME)
        for message in (b"READY=1\n" + b"x" * 5000, b"\xff\xfeREADY=1", b"STATUS=" + b"s" * 4000):
            tell(listener.path, message)
        for message in (b"", b"=", b"READY", b"READY=0", b"UNKNOWN=1\nSTOPPING=1"):
            tell(listener.path, message)
        await until(lambda: bool(listener.is_stopping))
        assert not listener.is_ready()
        assert listener.refused == 2
        assert len(listener.status) == notify_module.MAX_STATUS_LENGTH

    notified(folder, main)


def test_a_stranger_is_not_heard(folder: Path) -> None:
    source = (
        "import os, socket, sys\n"
        "client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "client.sendto(b'READY=1', sys.argv[1])\n"
        "sys.stdin.read()\n"
    )

    async def main(listener: NotifySocket) -> None:
        listener.listen(ME)
        stranger = start(*python(source), listener.path, stdin=subprocess.PIPE)
        await until(lambda: bool(listener.refused))
        assert not listener.is_ready()
        stranger.communicate()
        tell(listener.path, b"READY=1")
        await listener.wait_ready()

    notified(folder, main)


def test_descriptors_in_a_message_are_closed_as_a_barrier_wants(folder: Path) -> None:
    async def main(listener: NotifySocket) -> None:
        listener.listen(ME)
        before = len(os.listdir("/proc/self/fd"))
        read_end, write_end = os.pipe()
        tell(listener.path, b"READY=1", (write_end,) * 40)
        tell(listener.path, b"BARRIER=1", (write_end,))
        os.close(write_end)
        await listener.wait_ready()
        await turns()
        assert os.read(read_end, 1) == b""
        os.close(read_end)
        assert len(os.listdir("/proc/self/fd")) == before

    notified(folder, main)


@pytest.mark.skipif(shutil.which("systemd-notify") is None, reason="systemd-notify is not there")
def test_systemd_notify_itself_is_heard(folder: Path) -> None:
    async def main(listener: NotifySocket) -> None:
        # With enough rights it speaks in the name of its parent: here the shell, as in real life.
        program = start(
            "sh",
            "-c",
            "systemd-notify --ready --status=serving; exit $?",
            env={**os.environ, "NOTIFY_SOCKET": listener.path},
        )
        listener.listen(program.pid)
        await listener.wait_ready()
        assert listener.status == "serving"
        await asyncio.to_thread(program.wait)
        assert program.returncode == 0

    notified(folder, main)


def test_a_notify_socket_replaces_a_stale_one_and_refuses_a_long_path(folder: Path) -> None:
    (folder / "1").touch()

    async def main(listener: NotifySocket) -> None:
        assert os.stat(listener.path).st_mode & 0o777 == 0o666

    notified(folder, main)
    with pytest.raises(Invalid, match="too long"):
        NotifySocket(folder / ("x" * 120))
    with pytest.raises(Unavailable):
        NotifySocket(folder / "missing" / "1")


def test_a_notify_probe_without_a_socket_is_refused() -> None:
    with pytest.raises(Invalid):
        run(lambda: ready(probe(ProbeKind.NOTIFY)))
