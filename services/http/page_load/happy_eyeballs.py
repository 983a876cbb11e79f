"""Happy eyeballs: a race of connection attempts to IPv6 and IPv4 addresses, the first success wins (RFC 8305).

    connection, address = await connect(addresses, attempt, abandon)
    # attempt(address) opens a connection; abandon(connection) closes one that succeeds too late

Section 4: the address families alternate, starting with the family of the first address; within a family, the order is
that of getaddrinfo(3) (RFC 6724). Section 5: each attempt starts CONNECTION_ATTEMPT_DELAY_S after the previous attempt,
or as soon as an attempt fails; the first attempt that succeeds cancels the others.

Left out: section 3, since getaddrinfo(3) sends the queries for A and AAAA. If all addresses are of one family, they are
tried sequentially, without a race: a slow server then gets one connection attempt, as from clients without happy
eyeballs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest
from typing import TypeVar

Result = TypeVar("Result")
Address = tuple[str, int]

# RFC 8305 section 5 recommends 250 ms between two attempts, section 8 requires no less than 10 ms.
CONNECTION_ATTEMPT_DELAY_S = 0.25


def is_ipv6(address: Address) -> bool:
    """Return whether an address is an IPv6 address."""
    return ":" in address[0]


def interleaved(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses with alternating address families, in the given order within each (RFC 8305 section 4)."""
    first = [address for address in addresses if is_ipv6(address) == is_ipv6(addresses[0])]
    second = [address for address in addresses if address not in first]
    return [address for address in chain(*zip_longest(first, second)) if address is not None]


async def connect(
    addresses: Sequence[Address],
    attempt: Callable[[Address], Awaitable[Result]],
    abandon: Callable[[Result], object],
) -> tuple[Result, Address]:
    """Return the first connection that succeeds, and its address; raises the exception of the last failed attempt.

    `attempt` is called to open a connection, `abandon` to close a connection that succeeds after the first one.
    """
    waiting = interleaved(addresses)
    races = len({is_ipv6(address) for address in addresses}) > 1
    attempts: dict[asyncio.Future[Result], Address] = {}
    failure: BaseException = OSError("the name has no address")
    try:
        while waiting or attempts:
            if waiting:
                address = waiting.pop(0)
                attempts[asyncio.ensure_future(attempt(address))] = address
            delay_s = CONNECTION_ATTEMPT_DELAY_S if waiting and races else None
            done, _ = await asyncio.wait(attempts, timeout=delay_s, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                address = attempts.pop(future)
                error = future.exception()
                if error is None:
                    return future.result(), address
                failure = error
    finally:
        for future in attempts:
            future.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
        for future in attempts:
            if not future.cancelled() and future.exception() is None:
                abandon(future.result())
    raise failure
