"""Builder of closed-form formulas for durations, from round trips and transmission times.

    form = RoundTrips(0.1, n=4)                          # RTT in seconds, variables of the formula
    form.trips("tcp_handshake", 1)                       # term tcp_handshake: one round trip
    form.trips("request", n=1)                           # term request: one round trip for each of n
    form.add("transmission", 0.02, "X")                  # term transmission: 0.02 s, written as X
    form.theory("RFC 9112")                              # (1 + n) RTT + X = 0.52 s, with the source that it cites

The builder keeps the value and the text of the formula. Each step adds a term (a summand). Round trips of the same RTT
are collected into one factor, at the place of the first of them: constants and coefficients are summed, so that the
text cannot disagree with the terms. A step without a text has a value but no part in the text, such as the transmission
time of a reply that a textbook neglects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab7.experiments.harness.theory.tcp import Theory, in_ms

RTT = "RTT"
CAMPUS = "RTT campus"
RTT_MEANINGS = {CAMPUS: "round-trip time between client and cache"}
# Meanings of symbols that several formulas have in common.
MEANINGS = {
    "X": "transmission time",
    "DNS": "time of the DNS lookups",
    "slow start": "round trips that slow start waits for acknowledgements",
    "wait": "time until the next attempt",
    "time-out + wait": "time-out of the failed attempt, and the time until the next one",
}


class RoundTrips:
    """Builder of a closed-form formula, such as (n+1) RTT + X, from its terms.

    `rtts_s`: the round-trip time in seconds, or name -> round-trip time. `compact`: write (n+1) as textbooks do, not (1
    + n). `variables`: the values of the formula's variables, in the order of their appearance.
    """

    def __init__(self, rtts_s: float | Mapping[str, float], *, compact: bool = False, **variables: int) -> None:
        self._rtts_s = {RTT: rtts_s} if isinstance(rtts_s, int | float) else dict(rtts_s)
        self._compact = compact
        self._variables = variables
        self._terms: dict[str, float] = {}
        self._meanings: dict[str, str] = {}
        self._legend: dict[str, str] = {}
        # Parts of the formula in order: a text, or the name of an RTT whose factor is in `_factors`.
        self._parts: list[str] = []
        self._factors: dict[str, dict[str, int]] = {}

    def trips(
        self,
        term: str,
        fixed: int = 0,
        *,
        rtt: str = RTT,
        frames_s: float = 0.0,
        more_s: Sequence[float] = (),
        at_most: int | None = None,
        **per: int,
    ) -> RoundTrips:
        """Add a term of round trips, whose number is `fixed` plus per[v] times the value of each variable v.

        `frames_s`: transmission time of the frames of each round trip. `more_s`: transmission times of further frames.
        `at_most`: maximum number of round trips, which the formula's text does not show.
        """
        count = fixed + sum(number * self._variables[name] for name, number in per.items())
        count = count if at_most is None else min(count, at_most)
        self._terms[term] = sum(more_s, start=count * (self._rtts_s[rtt] + frames_s))
        if rtt not in self._factors:
            self._factors[rtt] = {"": 0, **dict.fromkeys(self._variables, 0)}
            self._parts.append(rtt)
        for name, number in {"": fixed, **per}.items():
            self._factors[rtt][name] += number
        return self

    def add(self, term: str, value_s: float, text: str = "") -> RoundTrips:
        """Add a term of `value_s` seconds, written as `text` in the formula (empty: not shown)."""
        self._terms[term] = value_s
        if text:
            self._parts.append(text)
            self._legend.setdefault(text, f"{in_ms(value_s)}, {MEANINGS.get(text, term.replace('_', ' '))}")
        return self

    def define(self, **meanings: str) -> RoundTrips:
        """Set the meanings of variables for the legend, such as n="objects"."""
        self._meanings |= meanings
        return self

    def legend(self, symbols: Mapping[str, str]) -> RoundTrips:
        """Set the text of other symbols, such as X, for the legend: value and meaning."""
        self._legend |= symbols
        return self

    @property
    def symbols(self) -> dict[str, str]:
        """Return symbol -> value and meaning, for the variables, the round-trip times and the texts of add()."""
        shown = [rtt for rtt in self._factors if self._factor(rtt)]
        used = [name for name in self._variables if any(self._factors[rtt][name] for rtt in shown)]
        found = {name: f"{self._variables[name]}, {self._meanings.get(name, 'number')}" for name in used}
        found |= {rtt: f"{in_ms(self._rtts_s[rtt])}, {RTT_MEANINGS.get(rtt, 'round-trip time')}" for rtt in shown}
        return {**found, **self._legend}

    def theory(self, source: str) -> Theory:
        """Return the prediction as a Theory: total, terms and text of the formula; `source` cites the literature."""
        return Theory(sum(self._terms.values()), dict(self._terms), self.formula, source, self.symbols)

    @property
    def formula(self) -> str:
        """Return the text of the formula; RTTs with the factor 0 are left out."""
        texts = (self._factor(part) if part in self._factors else part for part in self._parts)
        return " + ".join(text for text in texts if text)

    def _factor(self, rtt: str) -> str:
        factors = self._factors[rtt]
        fixed, per = factors[""], {name: number for name, number in factors.items() if name and number}
        if not fixed and not any(self._variables[name] for name in per):
            return ""
        words = [f"{number if number > 1 else ''}{name}" for name, number in per.items()]
        if fixed:
            words = [*words, str(fixed)] if self._compact else [str(fixed), *words]
        if words == ["1"]:
            return rtt
        if len(words) == 1:
            return f"{words[0]} {rtt}"
        return f"({('+' if self._compact else ' + ').join(words)}) {rtt}"
