"""What a patient person with numpy would have taken: crossings after fees in recorded quotes. Knows nothing of the bot.

The rules, as the documents state them:

* A line is a read batch. Of Binance `bookTicker`, of Bybit `orderbook.1` are quotes; a quote stands until the next.
* Costs are summed once a second, counted from the first line on, and when a venue tells a funding rate: fees of four
  takers, the mean difference and half the mean spreads of the two sides (the exit basis), funding over the expected
  holding time, and the mean adverse move of four orders. Means are weighted by time, over the last 360 whole seconds
  and the one that has begun, up to the second's first look or the newest change of price since.
* A trade of the last side's money is charged on that: with r = sell / buy a cost is `fixed + scaled r`.
* A route is taken in the first batch with a quote in which r - 1 - costs reaches the minimum, once both sides cover the
  warm-up, while neither it nor its mirror holds a pair and it does not rest after one; if both quotes are younger than
  `max_age_ms`, were made less than `max_event_age_ms` ago and within `max_skew_ms` of each other; if both sides show
  the least quantity; and if no more than `orders_per_minute` orders leave in a minute, two to open and two to close.
* Quotes are dated by the fastest frame that their venue has sent so far.
* Orders arrive a latency after they were sent, are heard of another latency later, and are filled whole: a market in
  which they are not is none for this oracle. A pair is closed at the first batch or full second at which closing pays
  the exit basis; afterwards the route rests for the cooldown.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

S = 1_000_000_000
HOUR_S = 3600.0


@dataclass(frozen=True)
class Rules:
    """The settings that count; times in s unless named otherwise."""

    fees_bps: tuple[float, float]
    min_net_bps: float = 1.0
    warmup: float = 60.0
    rolling: int = 360
    latency: float = 0.01
    cooldown: float = 1.0
    holding: float = 600.0
    max_age: float = 0.5
    max_event_age: float = 1.0
    max_skew: float = 0.3
    notional: float = 1000.0
    lot: float = 0.001
    least_quantity: float = 0.001
    least_notional: float = 100.0
    price_cap_bps: float = 5.0
    orders_per_minute: int = 60


@dataclass(frozen=True)
class Line:
    """What a line says: a quote, a venue's time, a funding rate."""

    ns: int
    side: int
    event_ns: int | None
    quote: tuple[float, float, float, float] | None = None
    """Bid, its size, ask, its size."""
    funding: tuple[float, float | None, int] | None = None
    """Rate, interval in hours where it is told, next settlement."""


@dataclass
class Route:
    """Buys one side, sells the other."""

    buy: int
    sell: int
    fixed: float = float("nan")
    scaled: float = 0.0
    basis: float = 0.0
    state: str = "flat"
    due: float = float("inf")
    limits: tuple[float, float] = (0.0, 0.0)
    rest_until: int = 0
    taken: list[int] = field(default_factory=list)
    crossings: int = 0


def text(path: Path) -> Iterator[str]:
    """The lines of a file."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from file


def read(path: Path, side: int, until_ns: int | None = None) -> Iterator[Line]:
    """Whatever counts in a recording, read with json alone."""
    for row in text(path):
        stamp, _, payload = row.partition(" ")
        ns = int(stamp)
        if until_ns is not None and ns > until_ns:
            return
        yield _said(ns, side, json.loads(payload))


def _said(ns: int, side: int, message: dict[str, Any]) -> Line:
    topic = message.get("topic") or message.get("stream", "")
    data = message.get("data")
    if topic.startswith("orderbook.1"):
        (bid, bid_size), (ask, ask_size) = data["b"][0], data["a"][0]
        return Line(ns, side, message["cts"] * 1_000_000, (float(bid), float(bid_size), float(ask), float(ask_size)))
    if topic.startswith("tickers"):
        funding = (float(data["fundingRate"]), float(data["fundingIntervalHour"]), int(data["nextFundingTime"]))
        return Line(ns, side, message["ts"] * 1_000_000, funding=funding)
    if topic.startswith("publicTrade"):
        return Line(ns, side, message["ts"] * 1_000_000)
    if topic.endswith("bookTicker"):
        event_ns = data["T"] * 1_000_000 if "T" in data else None
        return Line(ns, side, event_ns, tuple(float(data[key]) for key in "bBaA"))
    if topic.endswith("rade"):
        return Line(ns, side, data["T"] * 1_000_000)
    if "markPrice" in topic:
        return Line(ns, side, None, funding=(float(data["r"]), None, data["T"]))
    is_spot = data is not None and "pu" not in data
    return Line(ns, side, data["E"] * 1_000_000 if is_spot and "E" in data else None)


class Market:
    """Time-weighted figures of one side's quotes, from whole arrays."""

    def __init__(self, lines: Sequence[Line], rolling_s: int) -> None:
        quotes = [(line.ns, line.quote[0], line.quote[2]) for line in lines if line.quote is not None]
        ns, bid, ask = (np.array(column) for column in zip(*quotes, strict=True))
        moved = np.append(True, (bid[1:] != bid[:-1]) | (ask[1:] != ask[:-1]))
        assert np.all(np.diff(ns) < 2 * S), "a silence is more than this oracle knows of"
        assert np.all(bid < ask)
        self.at, bid, ask = ns[moved], bid[moved], ask[moved]
        self.mid = (bid + ask) / 2
        spread = (ask - bid) / self.mid * 1e4
        lasted = np.diff(self.at).astype(float)
        self.values = {"mid": self.mid, "spread": spread}
        self.sums = {name: np.append(0.0, np.cumsum(one[:-1] * lasted)) for name, one in self.values.items()}
        self.rolling_ns = rolling_s * S

    def looked_at(self, ns: int, tick_ns: int) -> int:
        """Up to when the figures read at `ns` reach; the last whole-second look was at `tick_ns`."""
        newest = int(self.at[np.searchsorted(self.at, ns, "right") - 1])
        before = int(self.at[np.searchsorted(self.at, tick_ns, "right") - 1])
        return newest if before // S == tick_ns // S else max(newest, tick_ns)

    def span(self, upto_ns: int) -> tuple[int, int]:
        return max(int(self.at[0]), upto_ns - upto_ns % S - self.rolling_ns), upto_ns

    def mean(self, name: str, upto_ns: int) -> float:
        start, stop = self.span(upto_ns)
        return (self._sum(name, stop) - self._sum(name, start)) / (stop - start)

    def _sum(self, name: str, ns: int) -> float:
        i = np.searchsorted(self.at, ns, "right") - 1
        return float(self.sums[name][i] + self.values[name][i] * (ns - self.at[i]))

    def volatility(self, upto_ns: int) -> float:
        """Root mean square of the log returns from second to second, bps."""
        last = upto_ns - upto_ns % S
        ends = np.arange(last - self.rolling_ns, last + 1, S)
        mids = self.mid[np.searchsorted(self.at, ends[ends > self.at[0]], "left") - 1]
        return float(np.sqrt(np.mean(np.diff(np.log(mids)) ** 2)) * 1e4)


class Oracle:
    """Goes through the lines once; `routes` tell what would have been taken."""

    def __init__(self, lines: Sequence[Line], rules: Rules, one_clock: bool) -> None:
        """`one_clock`: both sides are markets of one venue."""
        self.rules = rules
        self.markets = [Market([line for line in lines if line.side == side], rules.rolling) for side in (0, 1)]
        self.routes = [Route(0, 1), Route(1, 0)]
        self.tick_ns = lines[0].ns
        self.quotes: list[tuple[float, float, float, float] | None] = [None, None]
        self.received, self.ages = [0, 0], [0, 0]
        self.timed: list[tuple[int, int] | None] = [None, None]
        self.hourly_bps = [0.0, 0.0]
        self.sent: list[int] = []
        self.fastest = [1 << 62] * (1 if one_clock else 2)
        for line in lines:
            self._advance(line.ns)
            self._take_in(line)

    def _advance(self, ns: int) -> None:
        while (at := min(self.tick_ns + S, *(route.due for route in self.routes))) <= ns:
            for route in self.routes:
                if route.due == at:
                    self._heard(route, int(at))
            if at == self.tick_ns + S:
                self.tick_ns += S
                self._price(self.tick_ns)
                for route in self.routes:
                    self._leave(route, self.tick_ns)

    def _heard(self, route: Route, ns: int) -> None:
        latency = round(self.rules.latency * S)
        if route.state in ("opening", "closing"):
            buy, sell = self._top(route.buy), self._top(route.sell)
            bought, sold = (buy[2], sell[0]) if route.state == "opening" else (sell[2], buy[0])
            assert bought <= route.limits[0], "not filled: more than this oracle knows of"
            assert sold >= route.limits[1], "not filled: more than this oracle knows of"
            route.state, route.due = f"{route.state}, filled", ns + latency
        elif route.state == "opening, filled":
            route.state, route.due = "open", float("inf")
        else:
            route.state, route.due = "flat", float("inf")
            route.rest_until = ns + round(self.rules.cooldown * S)

    def _take_in(self, line: Line) -> None:
        side, clock = line.side, line.side % len(self.fastest)
        if line.event_ns is not None:
            delay = line.ns - line.event_ns
            self.fastest[clock] = min(self.fastest[clock], delay)
            if line.quote is None:
                self.timed[side] = (line.ns, delay)
            else:
                self.ages[side] = delay - self.fastest[clock]
                assert self.ages[side] < self.rules.max_event_age * S, "stale: more than this oracle knows of"
        if line.funding is not None:
            rate, interval_h, next_ms = line.funding
            assert next_ms * 1_000_000 - line.ns > 2 * self.rules.holding * S
            # A schedule that is told has no settlement within reach; one that is not is charged pro rata.
            self.hourly_bps[side] = 0.0 if interval_h else rate * 1e4 / 8
            self._price(line.ns)
        if line.quote is not None:
            self.quotes[side], self.received[side] = line.quote, line.ns
            if line.event_ns is None:
                self.ages[side] = -1
            for route in self.routes:
                self._take(route, line.ns)
                self._leave(route, line.ns)

    def _price(self, ns: int) -> None:
        """Sum the costs of both routes, as they are at `ns`."""
        if None in self.quotes:
            return
        upto = [market.looked_at(ns, self.tick_ns) for market in self.markets]
        spans = [market.span(at) for market, at in zip(self.markets, upto, strict=True)]
        if min(stop - start for start, stop in spans) < self.rules.warmup * S:
            return
        read = list(zip(self.markets, upto, strict=True))
        mid, spread = ([market.mean(name, at) for market, at in read] for name in ("mid", "spread"))
        moves = [market.volatility(at) * np.sqrt(self.rules.latency / (2 * np.pi)) for market, at in read]
        held = self.rules.holding / HOUR_S
        for route in self.routes:
            b, s = route.buy, route.sell
            route.basis = (mid[s] / mid[b] - 1) * 1e4 + (spread[b] + spread[s]) / 2
            route.fixed = 2 * self.rules.fees_bps[b] + 2 * moves[b] + self.hourly_bps[b] * held + route.basis
            route.scaled = 2 * self.rules.fees_bps[s] + 2 * moves[s] - self.hourly_bps[s] * held

    def _take(self, route: Route, ns: int) -> None:
        if None in self.quotes or np.isnan(route.fixed):
            return
        buy, sell = self._top(route.buy), self._top(route.sell)
        ratio = sell[0] / buy[2]
        if (ratio - 1) * 1e4 - route.fixed - route.scaled * ratio < self.rules.min_net_bps:
            return
        route.crossings += 1
        is_flat = all(one.state == "flat" for one in self.routes)
        if not is_flat or ns < route.rest_until or not self._is_fresh(ns) or not self._has_size(buy, sell):
            return
        if sum(sent > ns - 60 * S for sent in self.sent) + 2 > self.rules.orders_per_minute:
            return
        route.taken.append(ns)
        self._send(route, "opening", ns, buy[2], sell[0])

    def _leave(self, route: Route, ns: int) -> None:
        if route.state != "open":
            return
        buy, sell = self._top(route.buy), self._top(route.sell)
        if (sell[2] / buy[0] - 1) * 1e4 - route.basis <= 0:
            self._send(route, "closing", ns, sell[2], buy[0])

    def _send(self, route: Route, state: str, ns: int, buy_at: float, sell_at: float) -> None:
        self.sent += [ns, ns]
        worse = self.rules.price_cap_bps / 1e4
        route.state, route.due = state, ns + round(self.rules.latency * S)
        route.limits = (buy_at * (1 + worse), sell_at * (1 - worse))

    def _is_fresh(self, ns: int) -> bool:
        made = [received - self._age(side) for side, received in enumerate(self.received)]
        rules = self.rules
        return (
            ns - min(self.received) <= rules.max_age * S
            and ns - min(made) <= rules.max_event_age * S
            and abs(made[0] - made[1]) <= rules.max_skew * S
        )

    def _age(self, side: int) -> int:
        """How old the newest quote was when it came; one without a time is as old as its feed's newest timed frame."""
        if self.ages[side] >= 0:
            return self.ages[side]
        timed = self.timed[side]
        if timed is None or self.received[side] - timed[0] > S:
            return 0
        return timed[1] - self.fastest[side % len(self.fastest)]

    def _has_size(self, buy: tuple[float, ...], sell: tuple[float, ...]) -> bool:
        rules = self.rules
        lots = int(min(buy[3], sell[1], rules.notional / max(buy[2], sell[0])) / rules.lot + 1e-9)
        quantity = lots * rules.lot
        return quantity >= rules.least_quantity and quantity * min(buy[2], sell[0]) >= rules.least_notional

    def _top(self, side: int) -> tuple[float, float, float, float]:
        quote = self.quotes[side]
        assert quote is not None
        return quote
