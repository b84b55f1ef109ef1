"""The server that providers call: whoever is slow, large or broken costs it little."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from duewise.channels.caller import CALL_BYTES_MAX, Limits
from duewise.channels.heard import Call, Denied, Heard
from duewise.channels.hooks import hooks

POST = b"POST /hooks/main HTTP/1.1\r\nHost: h\r\n"
QUICK = Limits(call_s=0.2, idle_s=0.2, linger_s=0.1, connections_max=2, held_bytes_max=100_000)


class Account:
    """A listener that stores nothing by itself: `owed` are the answers it still owes."""

    name = "main"

    def __init__(self, *, is_slow: bool = False) -> None:
        self.is_slow = is_slow
        self.heard = [asyncio.Event() for _ in range(3)]
        self.calls: list[Call] = []
        self.owed: list[asyncio.Future[Heard | Denied]] = []

    def hear(self, call: Call) -> Heard | Denied | asyncio.Future[Heard | Denied]:
        self.heard[len(self.calls)].set()
        self.calls.append(call)
        if not self.is_slow:
            return Heard((), b"ok")
        self.owed.append(asyncio.get_running_loop().create_future())
        return self.owed[-1]


@asynccontextmanager
async def called(
    account: Account, limits: Limits = QUICK
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server of that account."""
    async with hooks([account], host="127.0.0.1", port=0, public_url=None, limits=limits) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()


async def status_of(octets: bytes, limits: Limits = QUICK) -> tuple[int, int]:
    """The status of the last answer to these octets, and how many calls were heard."""
    account = Account()
    async with called(account, limits) as (reader, writer):
        writer.write(octets)
        async with asyncio.timeout(5):
            said = await reader.read()  # until it hangs up
    return int(said.rpartition(b"HTTP/1.1 ")[2][:3]), len(account.calls)


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"\x16\x03\x01\x02\x00", 400),  # somebody speaks TLS
        (b"GET /hooks/main HTTP/1.1\r\nHost h\r\n\r\n", 400),
        (POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 9" + b"9" * 30 + b"\r\n\r\n", 400),
        (POST + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 415),
        (POST + b"Content-Length: %d\r\n\r\n" % (CALL_BYTES_MAX + 1), 413),
        (POST + b"X: " + b"x" * 20_000, 431),
        (b"POST /" + b"x" * 20_000, 431),
        (POST + b"Content-Length: 200000\r\n\r\n" + b"x" * 150_000, 503),  # too much at once
        (POST + b"Content-Len", 408),
        (POST + b"Content-Length: 5\r\n\r\nab", 408),
    ],
)
async def test_it_denies_what_is_broken_large_or_slow(octets: bytes, status: int) -> None:
    assert await status_of(octets) == (status, 0)


async def test_it_answers_who_would_rather_speak_another_protocol() -> None:
    upgrade = b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"
    assert await status_of(POST + upgrade) == (200, 1)


async def test_it_counts_a_body_that_does_not_say_how_long_it_is() -> None:
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    octets = POST + b"Transfer-Encoding: chunked\r\n\r\n" + 20 * chunk
    assert await status_of(octets, Limits(call_s=5.0, linger_s=0.1)) == (413, 0)


async def test_it_gives_nobody_more_time_for_an_octet_now_and_then() -> None:
    account = Account()
    async with called(account) as (reader, writer):
        answer = asyncio.create_task(reader.read())
        for octet in POST + 100 * b"X: y\r\n":
            writer.write(bytes((octet,)))
            await asyncio.wait({answer}, timeout=0.02)
            if answer.done():
                break
        assert (await answer).startswith(b"HTTP/1.1 408 ")
    assert account.calls == []


async def test_it_answers_in_turn_and_only_what_is_stored() -> None:
    account = Account(is_slow=True)
    asked = b"".join(
        b"POST /hooks/main/r?n=%d HTTP/1.1\r\nContent-Length: 1\r\n\r\n%d" % (n, n)
        for n in range(3)
    )
    async with called(account, Limits()) as (reader, writer):
        for cut in range(0, len(asked), 7):
            writer.write(asked[cut : cut + 7])
            await asyncio.sleep(0)
        for n in range(3):
            await asyncio.wait_for(account.heard[n].wait(), timeout=5)
            # The next is heard only once this one is answered.
            assert [call.query for call in account.calls] == [{"n": str(i)} for i in range(n + 1)]
            account.owed[n].set_result(Heard((), b"answer %d" % n))
            answer = await reader.readuntil(b"answer %d" % n)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert [(call.rest, call.body) for call in account.calls] == [
        ("r", b"%d" % n) for n in range(3)
    ]


async def test_it_says_busy_where_nothing_is_stored_in_time_and_keeps_few_connections() -> None:
    account = Account(is_slow=True)
    async with called(account) as (reader, writer):
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ab")
        port = writer.get_extra_info("peername")[1]
        second, third = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        assert await third[0].read() == b""
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        assert await second[0].read() == b""  # it never asked for anything
        account.owed[0].set_result(Heard())  # too late, and no harm
        for _, each in (second, third):
            each.close()
