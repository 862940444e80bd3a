"""The process `wippy:files`: `supervisor.files.boot:main`, a system process of the tree.

It watches the files of the configuration, reads and checks them when they have changed, and has the
keeper merge them. What is wrong is told to the root, which shows it until it is put right; what
runs is not touched by it. Whoever kills this process loses nothing: the next one compares the files
with those that were merged last.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from supervisor.core.reloading import RELOAD, Reload, said
from wippy.core.ports import SystemPort
from wippy.errors import Invalid

if TYPE_CHECKING:
    from supervisor.files.desk import Desk


class FilesSettings(msgspec.Struct, frozen=True):
    """Settings of the job; folders are absolute.

    Attributes:
        run_dir: Run folder.
        state_dir: State folder.
        operator: The root's credential: the keeper lets only operators load files.
    """

    run_dir: str
    state_dir: str
    operator: bytes = b""


async def main(port: SystemPort) -> None:
    """Be `wippy:files` until cancelled.

    Raises:
        Invalid: Settings, or a registry, that cannot be used.
    """
    try:
        settings = msgspec.convert(port.settings, FilesSettings)
    except msgspec.ValidationError as error:
        raise Invalid(f"settings of wippy:files: {error}") from error
    # At once: nobody is to wait for what has not changed yet. All else is imported after it.
    port.ready()
    from supervisor.files.desk import Desk
    from supervisor.io.keeper_client import KeeperClient

    keeper = KeeperClient(Path(settings.run_dir), "", credential=settings.operator)
    desk = await Desk.open(port, keeper, settings.run_dir, settings.state_dir)
    tasks = [asyncio.ensure_future(each) for each in (desk.work(), _listen(port, desk))]
    cancelled = asyncio.ensure_future(port.cancelled())
    try:
        await asyncio.wait({*tasks, cancelled}, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        cancelled.cancel()
        for task in tasks:
            task.cancel()
        await desk.close()


async def _listen(port: SystemPort, desk: Desk) -> None:
    while True:
        told = await port.told()
        if told.topic == RELOAD:
            desk.ask(said(told.payload, Reload))
