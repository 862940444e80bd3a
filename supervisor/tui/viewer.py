"""The loop of the live tree, between keys, root, signals and screen. What is known is in `model`,
what keys do in `press`, what is shown in `render`; here they meet the clock and the descriptors."""

from __future__ import annotations

import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from supervisor.core.facts import Level, level, sentence
from supervisor.core.requests import Reply
from supervisor.io.node_file import is_node_there
from supervisor.tui import keys, model, render, state
from supervisor.tui.link import Link
from supervisor.tui.log_tail import LogTail
from supervisor.tui.look import Look
from supervisor.tui.press import press
from supervisor.tui.screen import difference
from supervisor.tui.state import Leave, Model, Post, Redraw, Suspend, Tone
from supervisor.tui.terminal import Signals, Terminal, stop_self
from wippy.core import reasons
from wippy.errors import NotFound, WippyError

FRAME_S = 0.1
"""At most ten pictures a second: more is not seen, and costs over ssh."""
POLL_S = 0.25
"""How often a log file, the guardian and a node that is not there yet are looked at."""
GONE_S = 1.5
"""A node whose guardian and root are away for longer does not come back."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the viewer ended: its exit code, and what to say once the screen is given back."""

    code: int
    text: str = ""


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
        self._is_stop_wanted = False

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
        is_quiet = state.stale_s(self._model, time.monotonic()) > 0
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
        is_quiet = state.stale_s(self._model, now_s) > 0
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
            self._model = state.say(self._model, str(error), now_s, tone=Tone.ERROR)
        self._renew_at_s = 0.0
        if self._is_stop_wanted:
            self._stop_node()

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

    def _perform(self, effect: state.Effect) -> None:
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
            self._model = state.say(self._model, text, now_s, tone=Tone.ERROR)
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
        elif not self._is_stop_wanted:
            self._stop_node()

    def _stop_node(self) -> None:
        """Ask for the stop; a node that is not there yet is asked as soon as it is."""
        self._is_stop_wanted = True
        if not self._link.is_connected:
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
    return "\n".join([*lines, f"node {node} {_ending(code)}"])


def _ending(code: int) -> str:
    """Return how the guardian ended; a negative code is the signal that killed it (subprocess)."""
    if code < 0:
        return f"was {reasons.sentence(reasons.Signal(-code))}"
    return f"ended with exit code {code}"
