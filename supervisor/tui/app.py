"""The live tree: the loop between keys, root, signals and screen. What is known is in `model`, what
keys do in `press`, what is shown in `render`; here they meet the clock and the descriptors."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from supervisor.core.facts import Level, level, sentence
from supervisor.core.requests import Answer, GetView, Reply, Subscribe, Update, Verb, ViewAnswer
from supervisor.core.view import NodeView
from supervisor.io.control_client import ControlClient
from supervisor.io.node_file import is_node_there
from supervisor.tui import keys, model, render
from supervisor.tui.log_tail import LogTail
from supervisor.tui.look import Look
from supervisor.tui.model import Leave, Model, Post, Redraw, Suspend, Tone
from supervisor.tui.press import press
from supervisor.tui.screen import difference
from supervisor.tui.terminal import Signals, Terminal, stop_self
from wippy.errors import Internal, Invalid, NotFound, WippyError

FRAME_S = 0.1
"""At most ten pictures a second: more is not seen, and costs over ssh."""
POLL_S = 0.25
"""How often a log file, the guardian and a node that is not there yet are looked at."""
GONE_S = 1.5
"""A node whose guardian and root are away for longer does not come back."""
MAX_UNANSWERED = 30
"""Subscriptions sent into silence before the connection is made anew: unsent frames pile up in the
socket, which blocks when it is full."""
ONCE_WIDTH = 120
ONCE_TIMEOUT_S = 10.0


class Client(Protocol):
    """What the live tree needs of `ControlClient`."""

    def ask(self, verb: Verb, timeout_s: float = 10.0) -> Answer:
        """Send and wait for the answer."""

    def post(self, verb: Verb) -> int:
        """Send, and return the request's id."""

    def fileno(self) -> int:
        """Descriptor that tells when to `drain`."""

    def drain(self) -> list[Reply | Update]:
        """Return what has arrived."""

    def close(self) -> None:
        """Let go."""


Connect = Callable[[Path], Client]


@dataclass(frozen=True, slots=True)
class Ending:
    """How the viewer ended: its exit code, and what to say once the screen is given back."""

    code: int
    text: str = ""


def run(
    run_dir: Path,
    *,
    owns_node: bool,
    read_only: bool = False,
    ascii_only: bool = False,
    once: bool = False,
    node_exit: Callable[[], int | None] | None = None,
    color: str = "auto",
    connect: Connect = ControlClient,
) -> int:
    """Show the live tree of the node in `run_dir` until the user leaves or the node is gone.

    Args:
        run_dir: The node's run folder.
        owns_node: This is the node's own foreground: leaving means to stop it or to detach, and
            SIGTERM, SIGHUP and a closed terminal stop everything in order.
        read_only: Refuse commands.
        ascii_only: Nothing but ASCII; so it is anyway where the locale is not UTF-8.
        once: Print one picture to stdout and return.
        node_exit: With `owns_node`: the exit code of the guardian, None while it runs.
        color: `auto`, `always` or `never`; NO_COLOR and FORCE_COLOR decide `auto`.
        connect: Makes the client.

    Returns:
        0 when the user left or detached; with `owns_node` the node's exit code when it ended; 4
        when it went away by itself; 128 + n after signal n.

    Raises:
        NotFound: No node lives in `run_dir`.
        Invalid: stdin or stdout is no terminal, or `color` is none of the three words.
    """
    has_color = wants_color(color, os.environ, is_terminal=os.isatty(1))
    is_ascii = ascii_only or not is_utf8(os.environ, sys.stdout.encoding)
    if once:
        return _print_once(connect, run_dir, has_color=has_color, is_ascii=is_ascii)
    if not (os.isatty(0) and os.isatty(1)) or os.environ.get("TERM", "dumb") == "dumb":
        raise Invalid(
            "the live tree needs a terminal; see wippy-supervisor top --once, or events -f"
        )
    link = Link(run_dir, connect)
    if not owns_node:
        link.connect()
    shown = Model(owns_node=owns_node, is_read_only=read_only, run_dir=str(run_dir))
    encoding = "ascii" if is_ascii else "utf-8"
    look = Look(has_color=has_color, is_ascii=is_ascii, utc_offset_s=utc_offset_s())
    try:
        with Signals() as signals, Terminal(encoding=encoding) as terminal:
            ending = Viewer(terminal, signals, link, shown, look, node_exit).run()
    finally:
        link.close()
    if ending.text:
        print(ending.text, file=sys.stdout if ending.code == 0 else sys.stderr, flush=True)
    return ending.code


def wants_color(
    color: str, environ: os._Environ[str] | dict[str, str], *, is_terminal: bool
) -> bool:
    """Judge `--color`, NO_COLOR and FORCE_COLOR; raises `Invalid` for a word that is none."""
    if color not in {"auto", "always", "never"}:
        raise Invalid(f"--color {color}: must be auto, always or never")
    if color != "auto":
        return color == "always"
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or is_terminal


def is_utf8(environ: Mapping[str, str], encoding: str | None) -> bool:
    """Say whether the locale shows more than ASCII.

    The locale's variables count, not only Python's idea: Python turns the C locale into UTF-8 for
    itself, which teaches the terminal nothing.
    """
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    if "utf" not in locale.lower():
        return False
    return (encoding or "").lower().replace("-", "").startswith("utf8")


def utc_offset_s() -> float:
    """Return the operator's distance from UTC."""
    return float(time.localtime().tm_gmtoff)


class Link:
    """The connection to the root; there may be none yet, and it may be made anew."""

    def __init__(self, run_dir: Path, connect: Connect) -> None:
        self.run_dir = run_dir
        self._connect = connect
        self._client: Client | None = None
        self._unanswered = 0

    @property
    def is_connected(self) -> bool:
        """Whether there is somebody to ask."""
        return self._client is not None

    def connect(self) -> None:
        """Connect; raises `NotFound` if there is no node."""
        self._client = self._connect(self.run_dir)

    def fileno(self) -> int | None:
        """Return the descriptor to wait for, if there is one."""
        return None if self._client is None else self._client.fileno()

    def post(self, verb: Verb) -> int | None:
        """Send `verb`; None if there is no node yet."""
        return None if self._client is None else self._client.post(verb)

    def subscribe(self) -> None:
        """Ask for views and facts for the next while."""
        if self._unanswered >= MAX_UNANSWERED:
            self._reconnect()
        self._unanswered += 1
        self.post(Subscribe(view_interval_s=model.VIEW_INTERVAL_S))

    def drain(self) -> list[Reply | Update]:
        """Return what has arrived."""
        arrived = [] if self._client is None else self._client.drain()
        if arrived:
            self._unanswered = 0
        return arrived

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _reconnect(self) -> None:
        self.close()
        self._unanswered = 0
        try:
            self.connect()
        except NotFound:
            return  # tried again later; whether the node is gone is judged elsewhere


class Viewer:
    """One run of the live tree."""

    def __init__(
        self,
        terminal: Terminal,
        signals: Signals,
        link: Link,
        shown: Model,
        look: Look,
        node_exit: Callable[[], int | None] | None,
    ) -> None:
        now_s = time.monotonic()
        self._terminal, self._signals, self._link = terminal, signals, link
        self._look, self._node_exit = look, node_exit
        self._model = model.resized(model.heard(shown, now_s), *terminal.size())
        self._log = LogTail()
        self._ending: Ending | None = None
        self._typed = b""
        self._escape_at_s = 0.0
        self._drawn: list[str] = []
        self._drawn_model: Model | None = None
        self._drawn_at_s = 0.0
        self._renew_at_s = 0.0
        self._poll_at_s = 0.0
        self._missing_since_s: float | None = None

    def run(self) -> Ending:
        """Show, wait, take what comes; until there is an end."""
        while self._ending is None:
            self._ask()
            self._draw()
            ready = self._wait()
            self._take_signals()
            if self._terminal.in_fd in ready:
                self._take_keys(self._terminal.read())
            self._flush_escape()
            self._take_frames()
            self._poll()
            if self._terminal.is_gone and self._ending is None:
                self._hang_up()
        return self._ending

    # What comes in

    def _wait(self) -> list[int]:
        now_s = time.monotonic()
        fds = [self._signals.fd]
        if not self._terminal.is_gone:
            fds.append(self._terminal.in_fd)
        link_fd = self._link.fileno()
        if link_fd is not None:
            fds.append(link_fd)
        timeout_s = max(0.0, self._next_turn_s(now_s) - now_s)
        return select.select(fds, [], [], timeout_s)[0]

    def _next_turn_s(self, now_s: float) -> float:
        moments = [self._renew_at_s]
        if not self._terminal.is_gone:
            is_dirty = self._model is not self._drawn_model
            next_s = now_s if is_dirty else model.next_change_s(self._model, self._drawn_at_s)
            moments.append(max(next_s, self._drawn_at_s + FRAME_S))
        if self._typed:
            moments.append(self._escape_at_s)
        if self._is_polling():
            moments.append(self._poll_at_s)
        return min(moments)

    def _take_signals(self) -> None:
        for number in self._signals.drain():
            match number:
                case signal.SIGWINCH:
                    self._model = model.resized(self._model, *self._terminal.size())
                    self._drawn = []
                case signal.SIGTSTP:
                    self._suspend()
                case signal.SIGCONT:
                    self._retake()
                case signal.SIGINT:
                    self._take_key("ctrl-c")
                case _:
                    self._end_by(number)

    def _take_keys(self, data: bytes) -> None:
        names, self._typed = keys.decode(self._typed + data)
        self._escape_at_s = time.monotonic() + keys.ESCAPE_S
        for name in names:
            self._take_key(name)

    def _flush_escape(self) -> None:
        if self._typed and time.monotonic() >= self._escape_at_s:
            pending, self._typed = self._typed, b""
            for name in keys.flush(pending):
                self._take_key(name)

    def _take_key(self, name: str) -> None:
        self._model, effects = press(self._model, name, time.monotonic())
        for effect in effects:
            self._perform(effect)

    def _take_frames(self) -> None:
        for frame in self._link.drain():
            now_s = time.monotonic()
            if isinstance(frame, Reply):
                self._model = model.answered(self._model, frame.id, frame.answer, now_s)
                continue
            self._model = model.facts_came(self._model, frame.facts, now_s)
            if frame.view is not None:
                self._model = model.view_came(self._model, frame.view, now_s)

    def _poll(self) -> None:
        """Look at what does not tell by itself: log, guardian, a node not there (any more)."""
        now_s = time.monotonic()
        if not self._is_polling() or now_s < self._poll_at_s:
            return
        self._poll_at_s = now_s + POLL_S
        self._read_log()
        code = self._node_exit() if self._node_exit is not None else None
        if code is not None:
            self._take_frames()  # its last words
            self._ending = Ending(code, _last_words(self._model, code))
        elif not self._link.is_connected:
            self._try_to_connect()
        elif self._node_exit is None:
            self._judge_gone(now_s)

    def _is_polling(self) -> bool:
        is_quiet = model.stale_s(self._model, time.monotonic()) > 0
        return (
            self._node_exit is not None
            or is_quiet
            or not self._link.is_connected
            or self._is_going()
            or model.wanted_log(self._model) is not None
        )

    def _is_going(self) -> bool:
        view = self._model.view
        return self._model.is_stopping or (view is not None and view.state == "stopping")

    def _judge_gone(self, now_s: float) -> None:
        is_quiet = model.stale_s(self._model, now_s) > 0
        if not (is_quiet or self._is_going()) or is_node_there(self._link.run_dir):
            self._missing_since_s = None
            return
        if self._missing_since_s is None:
            self._missing_since_s = now_s
        if now_s - self._missing_since_s >= GONE_S:
            node = self._model.view.node if self._model.view else str(self._link.run_dir)
            is_ordered = self._is_going()
            text = f"node {node} has stopped" if is_ordered else f"node {node} is gone"
            self._ending = Ending(0 if is_ordered else 4, text)

    def _try_to_connect(self) -> None:
        try:
            self._link.connect()
        except NotFound:
            return  # not there yet; node_exit tells if it never will be
        except WippyError as error:
            now_s = time.monotonic()
            self._model = model.say(self._model, str(error), now_s, tone=Tone.ERROR)
        self._renew_at_s = 0.0

    def _read_log(self) -> None:
        path = model.wanted_log(self._model)
        found = None if path is None else self._log.read(path)
        if path is not None and found is not None:
            self._model = model.log_came(self._model, path, *found)

    # What goes out

    def _ask(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._renew_at_s:
            self._renew_at_s = now_s + model.RENEW_S
            if self._link.is_connected:
                self._link.subscribe()
        self._model, posts = model.wanted_posts(self._model, now_s)
        for post in posts:
            self._perform(post)
        if model.wanted_log(self._model) not in {None, self._model.log_path}:
            self._read_log()
        # The descriptor of a zmq socket tells of changes, and sending may have used one up.
        self._take_frames()

    def _perform(self, effect: model.Effect) -> None:
        match effect:
            case Post():
                self._post(effect)
            case Leave(is_detached=is_detached):
                text = f"detached; the node runs on. Look again: {self._look_again()}"
                self._ending = Ending(0, text if is_detached else "")
            case Suspend():
                self._suspend()
            case Redraw():
                self._drawn, self._drawn_model = [], None

    def _post(self, post: Post) -> None:
        now_s = time.monotonic()
        request_id = self._link.post(post.verb)
        if request_id is None:
            text = f"{post.label}: the node is not there yet"
            self._model = model.say(self._model, text, now_s, tone=Tone.ERROR)
        else:
            self._model = model.posted(self._model, request_id, post, now_s)

    def _look_again(self) -> str:
        return f"wippy-supervisor top --run-dir {self._link.run_dir}"

    def _draw(self) -> None:
        now_s = time.monotonic()
        is_dirty = self._model is not self._drawn_model
        due_s = now_s if is_dirty else model.next_change_s(self._model, self._drawn_at_s)
        if self._terminal.is_gone or now_s < max(due_s, self._drawn_at_s + FRAME_S):
            return
        self._drawn_at_s, self._drawn_model = now_s, self._model
        if not self._terminal.can_write():
            return
        lines = render.frame(self._model, msgspec.structs.replace(self._look, now_s=now_s))
        text = difference(self._drawn, lines)
        if text:
            self._terminal.write(text)
        self._drawn = lines

    # Stopping, suspending, ending

    def _suspend(self) -> None:
        self._terminal.give_back()
        stop_self()
        self._retake()

    def _retake(self) -> None:
        now_s = time.monotonic()
        self._terminal.take()
        # While we were stopped nobody listened: that is no silence of the root.
        self._model = model.resized(model.heard(self._model, now_s), *self._terminal.size())
        self._drawn, self._drawn_model, self._renew_at_s = [], None, 0.0

    def _end_by(self, number: int) -> None:
        if self._model.owns_node:
            self._stop_node()
        else:
            self._ending = Ending(128 + number)

    def _hang_up(self) -> None:
        """The terminal is gone: leave, or bring the node down in order, unseen."""
        if not self._model.owns_node:
            self._ending = Ending(128 + signal.SIGHUP)
        else:
            self._stop_node()

    def _stop_node(self) -> None:
        if self._model.is_stopping or not self._link.is_connected:
            return
        self._model, posts = model.stopping(self._model, time.monotonic())
        for post in posts:
            self._perform(post)


def _last_words(shown: Model, code: int) -> str:
    """Return what someone must read after the screen is gone: why the node ended."""
    node = shown.view.node if shown.view else "the node"
    if code == 0:
        return f"node {node} has stopped" if shown.view else ""
    errors = [fact for fact in shown.facts if level(fact) is Level.ERROR][-5:]
    lines = [f"{fact.id or node}: {sentence(fact)}" for fact in errors]
    return "\n".join([*lines, f"node {node} ended with exit code {code}"])


def _print_once(connect: Connect, run_dir: Path, *, has_color: bool, is_ascii: bool) -> int:
    client = connect(run_dir)
    try:
        view = _view(client)
    finally:
        client.close()
    width = _once_width()
    shown = Model(run_dir=str(run_dir), width=width, height=max(24, len(view.rows)))
    shown = model.view_came(shown, view, 0.0)
    look = Look(has_color=has_color, is_ascii=is_ascii, utc_offset_s=utc_offset_s())
    for line in render.once(shown, look):
        print(line)
    return 0


def _view(client: Client) -> NodeView:
    answer = client.ask(GetView(), ONCE_TIMEOUT_S)
    if not isinstance(answer, ViewAnswer):
        raise Internal(f"the root answered {type(answer).__name__} to get_view")
    return answer.view


def _once_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    return os.get_terminal_size(1).columns if os.isatty(1) else ONCE_WIDTH
