"""Tells when the files of a configuration have changed, from a thread of its own.

watchfiles (inotify) says that something happened in one of the folders; what it was is told by a
survey, so that editors, links and folders that come and go need no rules of their own. A survey is
also made now and then without being asked: network file systems tell nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from watchfiles._rust_notify import RustNotify

from supervisor.core.debounce import Debounce
from supervisor.io.survey import Folder, Survey

STEP_MS = 50
"""How often watchfiles looks whether the kernel has told it something."""
AT_ONCE_MS = 1
"""How long watchfiles itself gathers changes."""
LOOK_MS = 10_000
"""Between two looks that nobody asked for."""
BLIND_LOOK_MS = 1_000
"""The same where the kernel does not tell (no watches left: fs.inotify.max_user_watches)."""


class FileWatch:
    """Watches one configuration until it is closed.

    Args:
        survey: Looks at the configuration; called in the thread.
        known: The state that is known already: only another one is told.
        on_change: Called in the thread with each new state, once changes have paused.
        on_blind: Called in the thread, once, where the kernel cannot be asked: why. Changes are
            then noticed a second later.
    """

    def __init__(
        self,
        survey: Callable[[], Survey],
        known: str,
        *,
        on_change: Callable[[Survey], object],
        on_blind: Callable[[str], object],
    ) -> None:
        self._survey = survey
        self._known = known
        self._on_change = on_change
        self._on_blind = on_blind
        self._is_blind_told = False
        self._stop = threading.Event()
        self._debounce = Debounce()
        self._last = known
        self._thread = threading.Thread(target=self._run, name="file watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self) -> None:
        """End it; waits for the thread, which looks at least every `STEP_MS`."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            folders = self._survey().folders
            try:
                # No debugging, no polling, not below the folders, which are all named; those that
                # may not be watched are left out.
                notify = RustNotify([it[0] for it in folders], False, False, 0, False, True)
            except FileNotFoundError:
                continue  # gone since the survey
            except (OSError, RuntimeError) as error:
                self._be_blind(str(error), folders)
                continue
            with notify:
                self._follow(notify, folders)

    def _follow(self, notify: RustNotify, folders: frozenset[Folder]) -> None:
        """Look until the folders are others. The first look comes after the watches stand, so
        nothing falls in between."""
        while not self._stop.is_set():
            seen = self._look()
            if seen.folders != folders:
                return
            wait_ms = self._wait_ms(LOOK_MS)
            # Told as soon as anything is: waiting for a pause is the debounce's part.
            notify.watch(AT_ONCE_MS, min(STEP_MS, wait_ms), wait_ms, self._stop)

    def _be_blind(self, why: str, folders: frozenset[Folder]) -> None:
        if not self._is_blind_told:
            self._is_blind_told = True
            self._on_blind(why)
        while not self._stop.is_set():
            if self._look().folders != folders:
                return
            self._stop.wait(self._wait_ms(BLIND_LOOK_MS) / 1000)

    def _look(self) -> Survey:
        seen, now_s = self._survey(), time.monotonic()
        digest = seen.digest
        if digest != self._last:
            self._last = digest
            self._debounce = self._debounce.noticed(now_s)
        if self._debounce.is_due(now_s):
            self._debounce = Debounce()
            if digest != self._known:
                self._known = digest
                self._on_change(seen)
        return seen

    def _wait_ms(self, longest_ms: int) -> int:
        due_s = self._debounce.due_s()
        if due_s is None:
            return longest_ms
        return max(1, min(longest_ms, round((due_s - time.monotonic()) * 1000)))
