"""The open-loop client: nothing of its warm-up is under way when the workload begins."""

import asyncio

from lab7.experiments.http.drivers.open_loop import OpenLoop

PLAN = {"connect": ["127.0.0.1", 80], "host": "h", "connections": 3, "warm": ["/a", "/b", "/c", "/d"], "requests": []}


class Slow(OpenLoop):
    """Each response takes a while; remembers when the last one came."""

    answered_s = 0.0

    async def _open(self) -> object:  # type: ignore[override]
        return object()

    async def _ask(self, target: str) -> None:
        await asyncio.sleep(0.01 if target == "/d" else 0.001)
        self.answered_s = asyncio.get_running_loop().time()


def test_what_tcp_sends_again_of_the_warm_up_has_time_to_leave_the_queue() -> None:
    async def warm_up() -> tuple[float, float]:
        began_s, client = asyncio.get_running_loop().time(), Slow(PLAN)
        await client.warm_up()
        return client.answered_s - began_s, asyncio.get_running_loop().time() - client.answered_s

    took_s, waited_s = asyncio.run(warm_up())
    # Sent again at the latest when the last response came, behind a queue that filled since the first request.
    assert waited_s >= 0.9 * took_s
