import time


async def main(fifo_path: str) -> None:
    born_ns = time.monotonic_ns()

    import asyncio
    import os

    fifo = os.open(fifo_path, os.O_WRONLY)
    os.write(fifo, b"%d %d\n" % (os.getpid(), born_ns))
    await asyncio.Event().wait()
