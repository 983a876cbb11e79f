"""A user agent's orders: one that breaks off leaves nothing behind that would answer the next one."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from lab7.experiments.mail.lab import UserAgent
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host


class Agent:
    """Tells what a user agent tells, line by line, and keeps what it was told."""

    def __init__(self, *lines: dict[str, Any]) -> None:
        self.lines = [json.dumps(line) for line in lines]
        self.told: list[str] = []

    def start(self, _: list[str]) -> Agent:
        return self

    def write_line(self, line: str) -> None:
        self.told.append(line)

    def read_line(self, _: float) -> str:
        return self.lines.pop(0)


DONE = {"began_ns": 1, "ended_ns": 2}


def test_an_order_that_breaks_off_is_heard_to_its_end() -> None:
    agent = Agent({"reached": "fill"}, {"reached": "read"}, DONE, {"reached": "stop"}, DONE)
    user, seen = UserAgent(cast(Host, agent)), []

    def fails(word: str) -> None:
        seen.append(word)
        raise EmulationError("0 of 1 messages came")

    with pytest.raises(EmulationError, match="0 of 1 messages came"):
        user.dialogue((), at=fails)
    assert agent.told[1:] == ['"on"', '"on"']
    user.dialogue((), at=seen.append)
    assert seen == ["fill", "stop"]
    assert not agent.lines
