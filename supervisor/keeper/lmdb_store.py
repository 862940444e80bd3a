"""The `Store` on one machine: the state environment."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from supervisor.core.keeping import (
    Answered,
    AppendHistory,
    ApplyChanges,
    ApplyVersion,
    BackedUp,
    ForgetVersions,
    LoadRegistry,
)
from supervisor.core.registry.retention import Retention
from supervisor.io.lmdb_env import FIRST_MAP_BYTES, LmdbEnv, sync_path
from supervisor.io.lmdb_errors import DATA, explain
from supervisor.io.lmdb_tx import Tx
from supervisor.io.state_layout import STATE_FORMAT, state_folder
from supervisor.keeper import applied, history
from supervisor.keeper.registry import Registry
from supervisor.keeper.store import Stamped
from wippy.core.registry import STATE_FOLDER
from wippy.errors import AlreadyExists, Failure, Internal, WippyError

BACKUP_ID = "backup.id"
"""File in a backup: the request that made it, so that a resent one finds it done."""

_log = logging.getLogger(__name__)


class LmdbStore:
    """Applies requests to the state environment; see `Store`.

    Args:
        state_dir: The node's state folder.
        history_limit: Facts kept, at least 1.
        applied_limit: Answers kept.
        map_bytes: First size of the map.
        retention: How much of the registry's history is kept.
        is_strict: What no policy allows is denied.
    """

    level = "os"

    def __init__(
        self,
        state_dir: Path,
        *,
        history_limit: int,
        applied_limit: int = applied.APPLIED_LIMIT,
        map_bytes: int = FIRST_MAP_BYTES,
        retention: Retention | None = None,
        is_strict: bool = False,
    ) -> None:
        self._registry = Registry(retention, is_strict=is_strict)
        self._history_limit = max(1, history_limit)
        self._applied_limit = applied_limit
        folder = state_folder(state_dir)
        self._env = LmdbEnv(folder, STATE_FORMAT, is_synced=True, map_bytes=map_bytes)

    def apply(self, group: Sequence[Stamped]) -> list[Answered]:
        """See `Store.apply`."""
        try:
            return self._env.write(lambda tx: [self._answer(tx, one) for one in group])
        except Internal as error:
            return self._apply_singly(group, error)
        except WippyError:
            raise
        except Exception as error:  # noqa: BLE001 - logged below, with its traceback
            # A bug that one request met must not take the group with it. Nothing was committed.
            return self._apply_singly(group, error)

    def backup(self, request_id: bytes, target: Path) -> BackedUp:
        """See `Store.backup`."""
        if target.exists():
            return _backup_done(request_id, target)
        partial = target.with_name(f"{target.name}.partial")
        try:
            shutil.rmtree(partial, ignore_errors=True)  # of a keeper that died at it
            (partial / STATE_FOLDER).mkdir(parents=True, mode=0o700)
            partial.chmod(0o700)
            size_bytes = self._env.copy(partial / STATE_FOLDER)
            (partial / BACKUP_ID).write_text(request_id.hex())
            sync_path(partial / BACKUP_ID)
            sync_path(partial)
            partial.rename(target)
            sync_path(target.parent)
        except OSError as error:
            raise explain(error, target) from error
        return BackedUp(size_bytes)

    def clear_stale_readers(self) -> int:
        """See `Store.clear_stale_readers`."""
        return self._env.clear_stale_readers()

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _answer(self, tx: Tx, one: Stamped) -> Answered:
        """Apply one request; what is refused has written nothing (the appliers check first)."""
        known = applied.recall(tx, one.request_id)
        if known is not None:
            return known
        try:
            answer = self._perform(tx, one)
        except WippyError as error:
            return Failure.of(error)
        applied.remember(tx, one.request_id, answer, limit=self._applied_limit)
        return answer

    def _perform(self, tx: Tx, one: Stamped) -> Answered:
        match one.request:
            case AppendHistory() as request:
                return history.append(tx, request, limit=self._history_limit)
            case LoadRegistry() | ApplyChanges() | ApplyVersion() as request:
                return self._registry.perform(tx, request, at_s=one.at_s, asker=one.asker)
            case ForgetVersions() as request:
                return self._registry.forget(tx, request)
            case _:
                assert_never(one.request)

    def _apply_singly(self, group: Sequence[Stamped], error: Exception) -> list[Answered]:
        if len(group) > 1:
            return [answer for one in group for answer in self.apply([one])]
        kind = type(group[0].request).__name__
        _log.error("%s cannot be applied", kind, exc_info=error)
        return [Failure.of(Internal(f"{kind} cannot be applied: {type(error).__name__}: {error}"))]


def _backup_done(request_id: bytes, target: Path) -> BackedUp:
    try:
        if (target / BACKUP_ID).read_text() == request_id.hex():
            return BackedUp((target / STATE_FOLDER / DATA).stat().st_size)
    except (OSError, ValueError) as error:
        raise AlreadyExists(f"{target} is already there, and is no backup of ours") from error
    raise AlreadyExists(f"{target} is already there; name a new folder for the backup")
