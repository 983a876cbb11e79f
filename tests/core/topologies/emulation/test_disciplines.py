"""Queueing disciplines that tc shows and changes, and the shapes of links to which they amount."""

from __future__ import annotations

import re

import pytest

from lab7.topologies.emulation.links.disciplines import Chain, TcError, UnsupportedError, stock
from lab7.topologies.emulation.shape import Queue, Shape

SHAPED = Shape(rate_bps=5e6, delay_s=0.01, queue_frames=50)
# Monitors of queues in public scripts (CS 244).
QUEUED, DROPPED = re.compile(r"backlog\s[^\s]+\s([\d]+)p"), re.compile(r"dropped ([0-9]+), ")


def after(chain: Chain, *commands: str) -> Chain:
    """The chain after these commands, each without `tc`."""
    for command in commands:
        chain = chain.change(command.split())
    return chain


@pytest.mark.parametrize(
    ("commands", "shape"),
    [
        (["qdisc add dev x root netem delay 100ms"], Shape(delay_s=0.1)),
        (
            ["qdisc add dev x root handle 1:0 netem delay 100ms 10ms loss 5%"],
            Shape(delay_s=0.1, jitter_s=0.01, loss=0.05),
        ),
        (["qdisc add dev x root netem loss random 3"], Shape(loss=0.03)),
        (["qdisc add dev x root netem delay 10ms reorder 25%"], Shape(delay_s=0.01, reorder=0.25)),
        (["qdisc add dev x root netem rate 1mbit limit 20"], Shape(rate_bps=1e6, queue_frames=20)),
        # netem_change(): the rate stays, delay and loss begin anew.
        (
            ["qdisc add dev x root netem rate 1mbit delay 9ms loss 1%", "qdisc change dev x root netem delay 20ms"],
            Shape(rate_bps=1e6, delay_s=0.02),
        ),
        (["qdisc add dev x root netem loss 9%", "qdisc del dev x root"], Shape()),
        (
            [
                "qdisc add dev x root handle 1:0 netem delay 10ms",
                "qdisc add dev x parent 1:1 handle 10: tbf rate 2mbit buffer 1600 limit 3000",
            ],
            Shape(rate_bps=2e6, delay_s=0.01, queue_frames=2),
        ),
        # 1 Mbit/s for 400 ms is 50,000 octets, and a burst of 4,096: 36 full frames.
        (["qdisc add dev x root tbf rate 1mbit burst 32kbit latency 400ms"], Shape(rate_bps=1e6, queue_frames=36)),
        (
            [
                "qdisc add dev x root handle 1: htb default 11",
                "class add dev x parent 1: classid 1:1 htb rate 10mbit",
                "class add dev x parent 1:1 classid 1:11 htb rate 1mbit ceil 2mbit",
                "qdisc add dev x parent 1:11 handle 20: pfifo limit 7",
            ],
            Shape(rate_bps=2e6, queue_frames=7),
        ),
    ],
)
def test_commands_amount_to_a_shape(commands: list[str], shape: Shape) -> None:
    assert after(Chain(), *commands).shape() == shape


@pytest.mark.parametrize(
    ("commands", "shape"),
    [
        # As public scripts write them, for the disciplines that stock Mininet makes.
        (["qdisc change dev x parent 5:1 handle 10: netem delay 60ms limit 20"], Shape(5e6, 0.06, queue_frames=20)),
        (["class change dev x parent 5:0 classid 5:1 htb rate 1mbit burst 15k"], Shape(1e6, 0.01, queue_frames=50)),
        (["qdisc del dev x root"], Shape()),
        (["qdisc replace dev x root netem delay 3ms"], Shape(delay_s=0.003)),
        (["qdisc add dev x root netem delay 3ms"], Shape(delay_s=0.003)),
        (["qdisc change dev x root netem delay 3ms"], Shape(delay_s=0.003)),
        (["qdisc replace dev x root handle 7: netem delay 3ms"], Shape(delay_s=0.003)),
        (["qdisc del dev x parent 5:1 handle 10:"], Shape(rate_bps=5e6)),
        (["qdisc add dev x parent 10:1 handle 20: pfifo limit 9"], Shape(5e6, 0.01, queue_frames=9)),
    ],
)
def test_commands_change_what_stock_mininet_made(commands: list[str], shape: Shape) -> None:
    assert stock(SHAPED).shape() == SHAPED
    assert after(stock(SHAPED), *commands).shape() == shape


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("qdisc add dev x root handle 5: netem delay 1ms", "Error: Exclusivity flag on, cannot modify."),
        ("qdisc add dev x parent 5:1 netem delay 1ms", "Error: Exclusivity flag on, cannot modify."),
        ("qdisc add dev x root handle 1: netem delay 1ms", "Error: NLM_F_REPLACE needed to override."),
        ("qdisc change dev x root handle 5: netem delay 1ms", "Error: Invalid qdisc name: must match existing qdisc."),
        ("qdisc change dev x parent 5:1 handle 11: netem limit 9", "Error: NLM_F_REPLACE needed to override."),
        ("qdisc add dev x parent 7:1 netem delay 1ms", "Error: Failed to find specified qdisc."),
        ("qdisc del dev x parent 7:1", "Error: Invalid handle."),
        ("qdisc replace dev x root netem loss 200%", 'Illegal "percent" value "200%"'),
        ("qdisc replace dev x root netem delay soon", "netem's `delay` without a number"),
        ("qdisc replace dev x root tbf rate 1mbit", 'tbf: "rate", "burst" and'),
        ("class add dev x parent 5: classid 5:1 htb rate 1mbit", "RTNETLINK answers: File exists"),
        ("class change dev x parent 9: classid 9:1 htb rate 1mbit", "Error: Specified class not found."),
    ],
)
def test_what_tc_refuses_is_refused_in_its_words(command: str, says: str) -> None:
    with pytest.raises(TcError, match=re.escape(says)):
        after(stock(SHAPED), command)


@pytest.mark.parametrize(
    "command",
    [
        "qdisc replace dev x root fq_codel",
        "qdisc replace dev x root netem delay 10ms 2ms distribution normal",
        "qdisc replace dev x root netem corrupt 1%",
        "qdisc replace dev x root netem loss 30% 25%",
        "qdisc replace dev x root netem delay 1ms 5ms",
        "class add dev x parent 5:1 classid 5:7 htb rate 1mbit",
        "filter add dev x protocol ip u32",
    ],
)
def test_what_a_link_cannot_follow_is_refused(command: str) -> None:
    with pytest.raises(UnsupportedError):
        after(stock(SHAPED), command)


def test_a_second_delay_below_the_first_is_refused() -> None:
    twice = ["qdisc add dev x root handle 1: netem delay 1ms", "qdisc add dev x parent 1:1 handle 2: netem delay 2ms"]
    with pytest.raises(UnsupportedError):
        after(Chain(), *twice).shape()


def test_disciplines_are_shown_as_tc_shows_them() -> None:
    # Of tc 6.1 with a kernel 6.1 that has these disciplines.
    assert stock(SHAPED).text("h1-eth0") == (
        "qdisc htb 5: dev h1-eth0 root refcnt 2 r2q 10 default 0x1 direct_packets_stat 0 direct_qlen 1000\n"
        "qdisc netem 10: dev h1-eth0 parent 5:1 limit 50 delay 10ms\n"
    )
    assert stock(SHAPED).class_text() == (
        "class htb 5:1 root leaf 10: prio 0 rate 5Mbit ceil 5Mbit burst 15Kb cburst 1600b\n"
    )
    assert Chain().text("x") == "qdisc noqueue 0: dev x root refcnt 2 \n"
    shaped = ["qdisc add dev x root handle 1: netem delay 4ms", "qdisc add dev x parent 1:1 handle 10: tbf rate 1mbit"]
    both = after(Chain(), shaped[0], f"{shaped[1]} burst 2k limit 9k")
    assert both.class_text().split("\n")[:2] == ["class netem 1:1 parent 1: leaf 10: ", "class tbf 10:1 parent 10: "]
    jittery = after(Chain(), "qdisc add dev x root handle 1: netem delay 100ms 10ms loss 5%")
    assert jittery.text("") == "qdisc netem 1: root refcnt 2 limit 1000 delay 100ms  10ms loss 5%\n"


def test_monitors_of_public_scripts_find_the_queue() -> None:
    text = stock(SHAPED).text("", Queue(17, 3), (1514, 1))
    assert QUEUED.findall(text) == ["17", "17"]
    assert DROPPED.findall(text) == ["3", "3"]
    assert text.count(" Sent 1514 bytes 1 pkt ") == 2
