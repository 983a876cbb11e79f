"""Queueing disciplines (qdiscs) of a link's end, as tc(8) shows and changes them: htb, netem, tbf, pfifo and bfifo.

In stock Mininet, qdiscs on the two interfaces of a link shape its traffic. In lab7 the interfaces have no qdiscs: the
link itself shapes. Chain emulates the qdiscs that stock Mininet would have on an interface (htb with handle 5:, and
netem with handle 10: below its class 5:1). It parses a user's tc commands, changes these qdiscs accordingly, and
computes the rate, delay, loss and queue of the link that have the same effect.

Left out, and refused with an error message: other qdiscs, several leaf classes, filters, and the parameters of netem
that links of lab7 do not have (corrupt, duplicate, distribution, gap, correlations). The bursts of htb and tbf are
accepted without effect, since a link transmits at its rate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.shape import Queue, Shape, parse_rate_bps, parse_size_bytes, parse_time_s

# Handles and class that stock Mininet chooses (mininet.link.TCIntf).
RATE_HANDLE, RATE_CLASS, DELAY_HANDLE = "5:", "5:1", "10:"
BURST = "15Kb"
KINDS = ("htb", "netem", "tbf", "pfifo", "bfifo")
# Words of a command, and the abbreviations that tc(8) takes for them.
COMMANDS = {"add": "add", "a": "add", "change": "change", "ch": "change", "chg": "change", "replace": "replace"}
COMMANDS |= {"repl": "replace", "delete": "del", "del": "del", "d": "del", "show": "show", "list": "show"}
COMMANDS |= {"ls": "show", "lst": "show", "s": "show", "sh": "show", "": "show"}
# Size of a full Ethernet frame, in which limits in octets are counted.
FRAME_BYTES = 1514
# tc-netem(8): the limit without the word `limit`; tc-pfifo(8): the queue of an interface.
LIMIT_FRAMES = 1000
_REORDER_WITHOUT_DELAY = "reordering not possible without specifying some delay"


class TcError(Exception):
    """Error for a tc command that tc(8) would refuse as well; the message is that of tc, and the exit code 2."""


class UnsupportedError(TcError):
    """Error for a valid tc command that links of lab7 cannot carry out."""


@dataclass(frozen=True)
class Discipline:
    """One queueing discipline: kind, handle ('5:'), parent ('root' or a class), and the parsed parameters."""

    kind: str
    handle: str
    parent: str
    limit: int | None = None
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0
    rate_bps: float | None = None
    burst: str = ""
    default: str = "0"

    def options(self) -> dict[str, Any]:
        """Return the parameters of the discipline in the format of `tc -json qdisc show`."""
        found: dict[str, Any] = {"limit": self.limit} if self.limit is not None else {}
        if self.kind == "htb":
            found |= {
                "r2q": 10,
                "default": f"{int(self.default, 16):#x}",
                "direct_packets_stat": 0,
                "direct_qlen": 1000,
            }
        if self.delay_s:
            found["delay"] = {"delay": self.delay_s, "jitter": self.jitter_s, "correlation": 0}
        if self.loss:
            found["loss-random"] = {"loss": self.loss, "correlation": 0}
        if self.rate_bps:
            found["rate"] = {"rate": round(self.rate_bps / 8)}
        return found

    def words(self) -> str:
        """Return the parameters of the discipline in the text format of `tc qdisc show`."""
        if self.kind == "htb":
            return f"r2q 10 default {int(self.default, 16):#x} direct_packets_stat 0 direct_qlen {LIMIT_FRAMES}"
        if self.kind == "tbf":
            return f"rate {rate_text(self.rate_bps or 0)} burst {self.burst} limit {self.limit}b"
        if self.kind != "netem":
            return f"limit {self.limit}{'p' if self.kind == 'pfifo' else 'b'}"
        jitter = f"  {time_text(self.jitter_s)}" if self.jitter_s else ""
        parts = [f"limit {self.limit}", f"delay {time_text(self.delay_s)}{jitter}" if self.delay_s else ""]
        parts += [f"loss {self.loss * 100:g}%" if self.loss else ""]
        parts += [f"reorder {self.reorder * 100:g}% gap 1" if self.reorder else ""]
        parts += [f"rate {rate_text(self.rate_bps)}" if self.rate_bps else ""]
        return " ".join(filter(None, parts))


@dataclass
class Chain:
    """Emulated queueing disciplines of an interface, from the root down; rates of htb's classes ('5:1' -> bit/s)."""

    disciplines: list[Discipline] = field(default_factory=list)
    classes: dict[str, float] = field(default_factory=dict)
    # Class -> the class above it.
    inner: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether the interface has at least one queueing discipline."""
        return bool(self.disciplines)

    def shape(self) -> Shape:
        """Return the shape (rate, delay ...) of a link that has the same effect as these disciplines.

        Raises UnsupportedError.
        """
        shape, rates, limits = Shape(), [], []
        for one in self.disciplines:
            if one.kind == "htb":
                rates += [self.classes[name] for name in self._way_to_default(one)]
            elif one.kind == "netem":
                both = "a chain with a delay in two disciplines"
                _refuse(both, bool(one.delay_s and shape.delay_s) or bool(one.loss and shape.loss))
                if one.delay_s:
                    shape = replace(shape, delay_s=one.delay_s, jitter_s=one.jitter_s, reorder=one.reorder)
                shape = replace(shape, loss=one.loss or shape.loss)
                rates += [one.rate_bps] if one.rate_bps else []
                limits.append(one.limit or LIMIT_FRAMES)
            elif one.kind == "pfifo":
                limits.append(one.limit or LIMIT_FRAMES)
            else:
                rates += [one.rate_bps] if one.rate_bps else []
                limits.append(max(1, -(-(one.limit or FRAME_BYTES) // FRAME_BYTES)))
        # The innermost discipline queues frames.
        return replace(shape, rate_bps=min(rates, default=None), queue_frames=limits[-1] if limits else LIMIT_FRAMES)

    def change(self, words: Sequence[str]) -> "Chain":
        """Return the disciplines after a tc command, given as the words from `qdisc` or `class` on. Raises TcError."""
        kind, command, rest = words[0], COMMANDS.get(words[1] if len(words) > 1 else "", ""), list(words[2:])
        place = _places(rest)
        if kind == "class":
            return self._change_class(command, place, rest)
        if kind != "qdisc" or not command:
            raise UnsupportedError(f"tc {' '.join(words)}")
        parent, handle = place.get("parent", ""), place.get("handle")
        there = [one for one in self.disciplines if parent in ("", one.parent) or _same(parent, one.parent)]
        matching = [one for one in there if handle in (None, one.handle)]
        if command == "del":
            if not matching:
                message = (
                    "Cannot delete qdisc with handle of zero." if parent == "root" and not there else "Invalid handle."
                )
                raise TcError(f"Error: {message}")
            return self._without(matching[0])
        if not parent:
            raise UnsupportedError("a queueing discipline without `root` or `parent`")
        if there and command != "replace":
            _check_change(command, there[0], handle, rest)
        if command == "change" and not there:
            raise TcError("Error: Qdisc not found. To create specify NLM_F_CREATE flag.")
        return self._put(there[0] if there else None, place, rest)

    def _put(self, old: Discipline | None, place: Mapping[str, str], rest: list[str]) -> "Chain":
        parent = place["parent"]
        if parent != "root" and not self._has_place(parent):
            raise TcError("Error: Failed to find specified qdisc." if self else "Error: Parent Qdisc doesn't exists.")
        kind = rest[0] if rest else ""
        if kind not in KINDS:
            raise UnsupportedError(f"the queueing discipline {kind or '(none)'}")
        same = old if old is not None and old.kind == kind and place.get("handle") in (None, old.handle) else None
        handle = place.get("handle") or (same.handle if same else self._free_handle())
        made = parsed(same or Discipline(kind, handle, parent), rest[1:])
        if same is not None:
            disciplines = [made if one is same else one for one in self.disciplines]
            return Chain(disciplines, dict(self.classes), self.inner)
        base = self._without(old) if old is not None else self
        # What is above the new one ends with its parent.
        return Chain([*base.disciplines, made], dict(base.classes), base.inner)

    def _change_class(self, command: str, place: Mapping[str, str], rest: list[str]) -> "Chain":
        name = place.get("classid", "")
        above = next((one for one in self.disciplines if one.kind == "htb" and _major(name) == one.handle), None)
        if above is None:
            raise TcError("Error: Specified class not found." if self else "Error: Parent Qdisc doesn't exists.")
        found = next((each for each in self.classes if _same(each, name)), None)
        if command == "del":
            if found is None:
                raise TcError("Error: Specified class not found.")
            return Chain(list(self.disciplines), {each: rate for each, rate in self.classes.items() if each != found})
        if command == "add" and found:
            raise TcError("RTNETLINK answers: File exists")
        if command == "change" and found is None:
            raise TcError("Error: Specified class not found.")
        if rest[:1] != ["htb"] or "rate" not in rest[:-1]:
            raise UnsupportedError(f"the class {' '.join(rest) or name}")
        parent = next((each for each in self.classes if _same(each, place.get("parent", "")) and each != found), None)
        others = [each for each in self.classes if each != found and not self._is_default(above, each)]
        # A class above the default one has no packets of its own.
        is_leaf = parent is not None or bool(others)
        _refuse(f"the class {name}, which is not htb's default", is_leaf and not self._is_default(above, name))
        inner = self.inner if parent is None else {**self.inner, found or name: parent}
        rate_bps = _parse(parse_rate_bps, _rate_of(rest))
        return Chain(list(self.disciplines), {**self.classes, found or name: rate_bps}, inner)

    def _way_to_default(self, htb: Discipline) -> list[str]:
        """Return htb's default class, and the classes above it up to the root; [] if htb has no default class.

        Without a default class, htb sends packets without a limit.
        """
        name = next((each for each in self.classes if self._is_default(htb, each)), None)
        way = []
        while name is not None:
            way.append(name)
            name = self.inner.get(name)
        return way

    def _is_default(self, htb: Discipline, name: str) -> bool:
        return int(name.partition(":")[2] or "0", 16) == int(htb.default, 16)

    def _has_place(self, parent: str) -> bool:
        if any(_same(parent, name) for name in self.classes):
            return True
        return any(one.handle == _major(parent) and one.kind in ("netem", "tbf") for one in self.disciplines)

    def _free_handle(self) -> str:
        taken = {one.handle for one in self.disciplines}
        return next(handle for handle in (f"{number:x}:" for number in range(0x8001, 0xFFFF)) if handle not in taken)

    def _without(self, gone: Discipline) -> "Chain":
        """Return the disciplines without `gone`, and without those below it."""
        kept = self.disciplines[: self.disciplines.index(gone)]
        handles = {one.handle for one in kept}
        return Chain(kept, {name: rate for name, rate in self.classes.items() if _major(name) in handles}, self.inner)

    def text(self, device: str, queue: Queue | None = None, sent: tuple[int, int] = (0, 0)) -> str:
        """Return the output of `tc qdisc show` for these disciplines; with a `queue`, that of `tc -s qdisc show`.

        device: name of the interface, empty for `show dev DEVICE`, which does not print it; queue: state of the
        transmit queue; sent: octets and packets sent.
        """
        lines = []
        named = f"dev {device} " if device else ""
        if not self:
            lines = [
                f"qdisc noqueue 0: {named}root refcnt 2 ",
                *(_statistics(queue, sent) if queue is not None else []),
            ]
        for one in self.disciplines:
            place = "root refcnt 2" if one.parent == "root" else f"parent {one.parent}"
            lines.append(f"qdisc {one.kind} {one.handle} {named}{place} {one.words()}")
            lines += _statistics(queue, sent) if queue is not None else []
        return "".join(f"{line}\n" for line in lines)

    def rows(self, device: str, queue: Queue | None = None, sent: tuple[int, int] = (0, 0)) -> list[dict[str, Any]]:
        """Return the output of `tc -json qdisc show` as dictionaries; with a `queue`, that of `tc -s -json qdisc show`.

        The arguments are explained in text().
        """
        found: list[dict[str, Any]] = []
        for one in self.disciplines or [Discipline("noqueue", "0:", "root")]:
            place: dict[str, Any] = {"root": True, "refcnt": 2} if one.parent == "root" else {"parent": one.parent}
            named = {"dev": device} if device else {}
            row = {"kind": one.kind, "handle": one.handle, **named, **place, "options": one.options()}
            if queue is not None:
                row |= {"bytes": sent[0], "packets": sent[1], "drops": queue.dropped, "overlimits": 0, "requeues": 0}
                row |= {"backlog": queue.frames * FRAME_BYTES, "qlen": queue.frames}
            found.append(row)
        return found

    def class_text(self, queue: Queue | None = None, sent: tuple[int, int] = (0, 0)) -> str:
        """Return the output of `tc class show` for these disciplines; with a `queue`, that of `tc -s class show`."""
        lines = []
        for name, rate in self.classes.items():
            leaf = next((f"leaf {one.handle} " for one in self.disciplines if _same(one.parent, name)), "")
            figures = f"rate {rate_text(rate)} ceil {rate_text(rate)} burst {BURST} cburst 1600b"
            lines.append(f"class htb {name} root {leaf}prio 0 {figures}")
            lines += _statistics(queue, sent) if queue is not None else []
        for one in self.disciplines:
            leaf = next((f"leaf {each.handle} " for each in self.disciplines if _major(each.parent) == one.handle), "")
            # netem has a class only for a discipline below it, tbf always.
            if one.kind == "tbf" or (one.kind == "netem" and leaf):
                lines.append(f"class {one.kind} {one.handle}1 parent {one.handle} {leaf}")
        return "".join(f"{line}\n" for line in lines)


def stock(shape: Shape | None) -> Chain:
    """Return the disciplines that stock Mininet (TCIntf) configures on an interface whose link has this shape."""
    if shape is None:
        return Chain()
    found = Chain()
    if shape.rate_bps is not None:
        found = Chain([Discipline("htb", RATE_HANDLE, "root", default="1")], {RATE_CLASS: shape.rate_bps})
    if shape.delay_s or shape.loss or shape.queue_frames != LIMIT_FRAMES or shape.rate_bps is None:
        parent = RATE_CLASS if found else "root"
        flight = (shape.delay_s, shape.jitter_s, shape.loss, shape.reorder)
        found.disciplines.append(Discipline("netem", DELAY_HANDLE, parent, shape.queue_frames, *flight))
    return found


def _check_change(command: str, there: Discipline, handle: str | None, rest: Sequence[str]) -> None:
    """Raise TcError if the kernel would refuse a new or changed discipline because of another one at its place."""
    if handle not in (None, there.handle):
        raise TcError("Error: NLM_F_REPLACE needed to override.")
    if handle is None and rest[:1] != [there.kind]:
        # The kernel makes the new one in place of the other (tc_modify_qdisc()).
        return
    if command == "add":
        raise TcError("Error: Exclusivity flag on, cannot modify.")
    if rest[:1] != [there.kind]:
        raise TcError("Error: Invalid qdisc name: must match existing qdisc.")


def parsed(base: Discipline, words: Sequence[str]) -> Discipline:
    """Return a discipline with its parameters changed to those in the words of a tc command. Raises TcError."""
    if base.kind == "htb":
        return _htb(base, words)
    if base.kind == "netem":
        return _netem(base, words)
    return _tbf(base, words) if base.kind == "tbf" else _fifo(base, words)


def _htb(base: Discipline, words: Sequence[str]) -> Discipline:
    default = words[words.index("default") + 1] if "default" in words[:-1] else base.default
    return replace(base, default=default.removeprefix("0x"))


def _netem(base: Discipline, words: Sequence[str]) -> Discipline:
    # The kernel keeps rate and reordering of a netem that is changed; the rest begins anew (netem_change()).
    made, place = Discipline("netem", base.handle, base.parent, LIMIT_FRAMES, reorder=base.reorder), 0
    made = replace(made, rate_bps=base.rate_bps)
    while place < len(words):
        name, values = words[place], []
        while place + 1 < len(words) and (words[place + 1][0].isdigit() or words[place + 1][0] in ".-"):
            place += 1
            values.append(words[place])
        place += 1
        if name == "loss" and words[place : place + 1] == ["random"]:
            words = [*words[:place], "loss", *words[place + 1 :]]
            continue
        made = _with_parameter(made, name, values)
    if made.reorder and not made.delay_s:
        raise TcError(_REORDER_WITHOUT_DELAY)
    if made.jitter_s > made.delay_s:
        raise UnsupportedError("a jitter above the delay")
    return made


def _with_parameter(made: Discipline, name: str, values: Sequence[str]) -> Discipline:
    """Return a netem discipline with one more parameter, given by its name and values in a tc command."""
    if not values:
        raise UnsupportedError(f"netem's `{name}` without a number, or of that form")
    most = {"delay": 2, "latency": 2, "loss": 1, "drop": 1, "reorder": 1, "rate": 1, "limit": 1}.get(name)
    if most is None or (len(values) > most and any(float(value.rstrip("%")) for value in values[most:])):
        raise UnsupportedError(f"netem's `{name} {' '.join(values)}`")
    if name in ("delay", "latency"):
        times = [_parse(parse_time_s, value) for value in values]
        return replace(made, delay_s=times[0], jitter_s=times[1] if len(times) > 1 else 0.0)
    if name in ("loss", "drop"):
        return replace(made, loss=_share(values[0]))
    if name == "reorder":
        return replace(made, reorder=_share(values[0]))
    if name == "rate":
        return replace(made, rate_bps=_parse(parse_rate_bps, values[0]) or None)
    return replace(made, limit=_count(values[0]))


def _tbf(base: Discipline, words: Sequence[str]) -> Discipline:
    given = dict(zip(words[::2], words[1::2], strict=False))
    burst = next((given[name] for name in ("burst", "buffer", "maxburst") if name in given), None)
    if burst is None or "rate" not in given or not {"limit", "latency"} & set(given):
        raise TcError('tbf: "rate", "burst" and either "latency" or "limit" are required.')
    rate_bps = _parse(parse_rate_bps, given["rate"])
    burst_bytes = _parse(parse_size_bytes, burst.partition("/")[0])
    if "limit" in given:
        limit = _parse(parse_size_bytes, given["limit"])
    else:
        limit = rate_bps / 8 * _parse(parse_time_s, given["latency"]) + burst_bytes
    return replace(base, rate_bps=rate_bps, burst=f"{round(burst_bytes)}b", limit=max(1, round(limit)))


def _fifo(base: Discipline, words: Sequence[str]) -> Discipline:
    default = LIMIT_FRAMES if base.kind == "pfifo" else LIMIT_FRAMES * FRAME_BYTES
    given = words[words.index("limit") + 1] if "limit" in words[:-1] else str(default)
    limit = _count(given) if base.kind == "pfifo" else round(_parse(parse_size_bytes, given))
    return replace(base, limit=limit)


def _places(rest: list[str]) -> dict[str, str]:
    """Remove device, parent, handle and classid from the words of a tc command, and return them as a dictionary."""
    found: dict[str, str] = {}
    while rest and rest[0] in ("dev", "parent", "handle", "classid", "root", "est"):
        name = rest.pop(0)
        if name == "root":
            found["parent"] = "root"
        elif rest:
            found[name] = rest.pop(0)
    if "handle" in found:
        found["handle"] = f"{found['handle'].partition(':')[0]}:"
    return found


def _major(name: str) -> str:
    return f"{name.partition(':')[0]}:"


def _same(one: str, other: str) -> bool:
    """Return whether two texts identify the same class; 5: and 5:0 both stand for the discipline itself."""
    (major, _, minor), (major2, _, minor2) = one.partition(":"), other.partition(":")
    return major == major2 and (minor or "0").lstrip("0") == (minor2 or "0").lstrip("0")


def _rate_of(words: Sequence[str]) -> str:
    """Return the rate of an htb class: its `ceil` if given, which it may borrow up to, else its `rate`.

    There is no other class on the link that would use the borrowed rate.
    """
    name = "ceil" if "ceil" in words[:-1] else "rate"
    return words[words.index(name) + 1]


def _share(text: str) -> float:
    """Parse a percentage of tc(8), such as 1% or 1, into a fraction of 1."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise TcError(f'Illegal "percent" value "{text}"')
    return share


def _count(text: str) -> int:
    if not text.rstrip("p").isdigit() or int(text.rstrip("p")) < 1:
        raise TcError(f'Illegal "limit" value "{text}"')
    return int(text.rstrip("p"))


def _parse(parse: Callable[[str], float], text: str) -> float:
    try:
        return parse(text)
    except TopologyError:
        raise TcError(f'Illegal value "{text}"') from None


def _refuse(what: str, wrong: bool) -> None:
    if wrong:
        raise UnsupportedError(what)


def _statistics(queue: Queue, sent: tuple[int, int]) -> list[str]:
    octets, packets = sent
    backlog = f"{queue.frames * FRAME_BYTES}b" if queue.frames else "0b"
    return [
        f" Sent {octets} bytes {packets} pkt (dropped {queue.dropped}, overlimits 0 requeues 0) ",
        f" backlog {backlog} {queue.frames}p requeues 0",
    ]


def rate_text(rate_bps: float) -> str:
    """Format a rate in bit/s as tc(8) does: 10Mbit, 1500Kbit."""
    for scale, unit in ((1e9, "Gbit"), (1e6, "Mbit"), (1e3, "Kbit")):
        if rate_bps >= scale and not round(rate_bps) % scale:
            return f"{rate_bps / scale:.0f}{unit}"
    return f"{rate_bps / 1e3:.0f}Kbit" if rate_bps >= 1e6 else f"{rate_bps:.0f}bit"


def time_text(seconds: float) -> str:
    """Format a time in seconds as tc(8) does: 100ms, 1.5s, 300us."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= scale:
            return f"{round(seconds / scale, 6):.3g}{unit}"
    return f"{round(seconds * 1e6)}us"
