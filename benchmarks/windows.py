"""Hold event streams open and count what they are told, until told to stop: PORT REQUESTS.json."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from pathlib import Path

AT_ONCE = 50  # connections that are opened together


async def hold(port: int, requests: list[str]) -> None:
    """Open one stream for each request, say so, and read until SIGINT."""
    counted = {"messages": 0}
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopping.set)
    gate = asyncio.Semaphore(AT_ONCE)
    opened = await asyncio.gather(*(_open(port, request, gate) for request in requests))
    print("open", len(opened), flush=True)
    reading = [asyncio.create_task(_read(reader, counted)) for reader, _ in opened]
    await stopping.wait()
    for task in reading:
        task.cancel()
    print(json.dumps(counted), flush=True)


async def _open(
    port: int, request: str, gate: asyncio.Semaphore
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise RuntimeError(head.decode())
        await reader.readuntil(b"event: ready")
        return reader, writer


async def _read(reader: asyncio.StreamReader, counted: dict[str, int]) -> None:
    while line := await reader.readline():
        if line.startswith(b"event: note"):
            counted["messages"] += 1


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard > 0 else soft, hard))
    asyncio.run(hold(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())))
