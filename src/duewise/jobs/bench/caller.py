"""A provider's side of the calls benchmark: prebuilt requests out, answers in, a process apart.

`caller.py PORT CONNECTIONS FILE`: the requests of FILE, a length before each, one at a time on each
connection. Prints the seconds from the first octet to the last answer, the processor's share of
them, and the answers by status.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ANSWER_BYTES_MAX: Final = 65_536


async def call_all(port: int, connections: int, requests: Iterator[bytes]) -> Counter[str]:
    """Every request once; the answers by status."""
    statuses: Counter[str] = Counter()

    async def one_by_one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=ANSWER_BYTES_MAX)
        for request in requests:  # one iterator for all: whoever is free takes the next
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = head.partition("content-length: ")[2].partition("\r")[0]
            await reader.readexactly(int(length or 0))
            statuses[head.split(" ", 2)[1]] += 1
        writer.close()

    await asyncio.gather(*(one_by_one() for _ in range(connections)))
    return statuses


def read_requests(path: Path) -> Iterator[bytes]:
    """The requests of a file, each behind its length in four octets."""
    octets, at = path.read_bytes(), 0
    while at < len(octets):
        length = int.from_bytes(octets[at : at + 4], "big")
        yield octets[at + 4 : at + 4 + length]
        at += 4 + length


def write_requests(path: Path, requests: list[bytes]) -> None:
    """What `read_requests` reads."""
    path.write_bytes(b"".join(len(each).to_bytes(4, "big") + each for each in requests))


def main() -> None:
    """Call, and say how long it took."""
    port, connections, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    requests = iter(list(read_requests(path)))
    began, before = time.perf_counter(), time.process_time()
    statuses = asyncio.run(call_all(port, connections, requests))
    took_s, own_s = time.perf_counter() - began, time.process_time() - before
    sys.stdout.write(json.dumps({"took_s": took_s, "own_s": own_s, "statuses": statuses}) + "\n")


if __name__ == "__main__":
    main()
