"""A process that changes the registry as actors do: `python registry_writer.py RUN NAME COUNT`.

Makes COUNT changes, several at a time, each of an entry that all writers share and of one that
nobody else has; says each version that it made on stdout.
"""

from __future__ import annotations

import asyncio
import sys

from wippy.core.entry import DATA_KIND, EntryChange, EntryDoc
from wippy.core.registry import ApplyChanges
from wippy.runtime.keeper_link import KeeperLink

AT_A_TIME = 20
TIMEOUT_S = 60.0


def request(name: str, number: int) -> ApplyChanges:
    ids = "app:shared", f"app:{name}{number}"
    docs = [EntryDoc(id=id_, kind=DATA_KIND, data={"by": name, "n": number}) for id_ in ids]
    ops = ("update", "create")
    changes = tuple(EntryChange(op, doc.id, doc) for op, doc in zip(ops, docs, strict=True))
    return ApplyChanges(changes=changes, author=name, comment=str(number))


async def write(run_dir: str, name: str, count: int) -> None:
    link = KeeperLink(run_dir, resend_s=0.5)
    turns = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int) -> None:
        async with turns:
            done = await link.ask(request(name, number), TIMEOUT_S)
        print(number, done.version, flush=True)

    await asyncio.gather(*(one(number) for number in range(count)))
    link.close()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3])))
