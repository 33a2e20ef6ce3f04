"""Who hears which public stream of a segment, and the turning of market events into frames."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import Desk, Line
from exchanges.simulator.binance.outlet import Outlet
from exchanges.simulator.binance.tape import Aggregate
from exchanges.simulator.binance.tickers import SPANS, kline_text, mini_ticker_text, ticker_text
from exchanges.simulator.binance.topics import (
    AggTrades,
    BookTicker,
    Depth,
    PartialDepth,
    Periodic,
    Topic,
    Trades,
    mark_text,
)
from exchanges.simulator.core.values import BookChanged, MarketEvent, TradePrinted

_MS = 1_000_000
_SECOND = 1000 * _MS
_GRAIN_NS = 50 * _MS
"""All intervals are multiples of it."""
_DEPTH = re.compile(r"depth(5|10|20)?(?:@(0|100|250|500|1000)ms)?")
_MARK = re.compile(r"markPrice(@arr)?(@1s)?")
_AGGREGATE_NS = {Segment.SPOT: 0, Segment.LINEAR: 100 * _MS}
"""How long trades of one price and side are added up."""


class Hub:
    """The public streams of one segment; only streams with somebody on them cost anything."""

    def __init__(self, desk: Desk, segment: Segment) -> None:
        self.segment = segment
        self._desk = desk
        self._lines = {line.index: line for line in desk.segment_lines(segment)}
        self._topics: dict[str, Topic] = {}
        self._of_line: dict[int, list[Topic]] = defaultdict(list)
        self._timed: list[Topic] = []
        self._grain = -1
        desk.listeners.append(self.hear)

    def topic(self, name: str) -> Topic | None:
        """The stream called so, whether anybody is on it or not; None where Binance has none of that name."""
        return self._topics.get(name) or self._make(name)

    def join(self, topic: Topic, outlet: Outlet, *, combined: bool) -> None:
        """Put a client on a stream."""
        topic = self._topics.setdefault(topic.name, topic)
        if not topic.raw and not topic.combined:
            self._start(topic)
        (topic.combined if combined else topic.raw).add(outlet)
        (topic.raw if combined else topic.combined).discard(outlet)

    def leave(self, name: str, outlet: Outlet) -> None:
        """Take a client off a stream; nothing happens where it was not on it."""
        topic = self._topics.get(name)
        if topic is None:
            return
        topic.raw.discard(outlet)
        topic.combined.discard(outlet)
        if not topic.raw and not topic.combined:
            self._stop(topic)

    def _start(self, topic: Topic) -> None:
        for index in self._indices(topic):
            self._of_line[index].append(topic)
        if topic.interval_ns:
            topic.turn = self._desk.now_ns() // topic.interval_ns
            self._timed.append(topic)

    def _stop(self, topic: Topic) -> None:
        del self._topics[topic.name]
        for index in self._indices(topic):
            self._of_line[index].remove(topic)
        if topic.interval_ns:
            self._timed.remove(topic)

    def _indices(self, topic: Topic) -> list[int]:
        if topic.name.startswith("!"):
            return list(self._lines)
        symbol = topic.name.partition("@")[0].upper()
        line = self._desk.find(self.segment, symbol)
        return [] if line is None else [line.index]

    # Names

    def _make(self, name: str) -> Topic | None:
        if name.startswith("!"):
            return self._make_for_all(name)
        symbol, _, what = name.partition("@")
        line = self._desk.find(self.segment, symbol.upper()) if symbol == symbol.lower() else None
        return None if line is None else self._make_for_line(name, line, what)

    def _make_for_line(self, name: str, line: Line, what: str) -> Topic | None:
        if what == "bookTicker":
            return BookTicker(name)
        if what == "trade":
            return Trades(name)
        if what == "aggTrade":
            return AggTrades(name)
        if match := _DEPTH.fullmatch(what):
            return self._depth(name, line, match.group(1), match.group(2))
        return self._periodic(name, [line], what)

    def _depth(self, name: str, line: Line, levels: str | None, interval: str | None) -> Topic | None:
        allowed = ("100", "1000") if line.is_spot else ("0", "100", "250", "500")
        interval = interval or ("1000" if line.is_spot else "250")
        if interval not in allowed:
            return None
        interval_ns = int(interval) * _MS
        if levels is None:
            return Depth(name, line, interval_ns)
        return PartialDepth(name, line, int(levels), interval_ns) if interval_ns else None

    def _make_for_all(self, name: str) -> Topic | None:
        if name == "!bookTicker":
            return BookTicker(name)
        what, _, rest = name[1:].partition("@arr")
        if "@arr" not in name:
            return None
        return self._periodic(name, list(self._lines.values()), what + rest)

    def _periodic(self, name: str, lines: Sequence[Line], what: str) -> Topic | None:
        many = name.startswith("!")
        if what.startswith("kline_") and what[6:] in SPANS and not many:
            every = 2 * _SECOND if self.segment is Segment.SPOT else 250 * _MS
            return Periodic(name, every, lambda ts_ns: kline_text(lines[0], what[6:], ts_ns))
        if what in ("miniTicker", "ticker"):
            text = mini_ticker_text if what == "miniTicker" else ticker_text
            return Periodic(name, _SECOND, lambda ts_ns: _joined((text(line, ts_ns) for line in lines), many))
        if _MARK.fullmatch(what) and self.segment is Segment.LINEAR:
            every = _SECOND if what.endswith("@1s") else 3 * _SECOND
            return Periodic(name, every, lambda ts_ns: _joined(_marks(lines, ts_ns), many))
        return None

    # Events

    def hear(self, events: Sequence[MarketEvent]) -> None:
        """Turn what the market did into frames."""
        for event in events:
            grain = event.ts_ns // _GRAIN_NS
            if grain != self._grain:
                self._grain = grain
                self._tick(event.ts_ns)
            line = self._lines.get(event.listing)
            if line is not None:
                self._one(line, event)
        if self.segment is Segment.SPOT:
            # Trades of one taker come in one batch, so nothing can be added any more.
            self._close_aggregates(lambda _: True)

    def _one(self, line: Line, event: MarketEvent) -> None:
        if isinstance(event, BookChanged):
            if line.mirror.apply(event):
                for topic in self._of_line[line.index]:
                    topic.on_book(line, event)
        elif isinstance(event, TradePrinted):
            self._trade(line, event)

    def _trade(self, line: Line, event: TradePrinted) -> None:
        closed = line.tape.add(event, _AGGREGATE_NS[self.segment])
        for topic in self._of_line[line.index]:
            topic.on_trade(line, event)
            if closed is not None:
                topic.on_aggregate(line, closed)

    def _tick(self, ts_ns: int) -> None:
        self._close_aggregates(lambda one: ts_ns - one.ts_ns > _AGGREGATE_NS[self.segment])
        for topic in self._timed:
            turn = ts_ns // topic.interval_ns
            if turn != topic.turn:
                topic.turn = turn
                topic.on_time(turn * topic.interval_ns)

    def _close_aggregates(self, is_due: Callable[[Aggregate], bool]) -> None:
        for line in self._lines.values():
            if line.tape.open is not None and is_due(line.tape.open):
                closed = line.tape.close()
                assert closed is not None
                for topic in self._of_line[line.index]:
                    topic.on_aggregate(line, closed)


def _joined(texts: Iterable[str], many: bool) -> str | None:
    parts = list(texts)
    if not parts:
        return None
    return f"[{','.join(parts)}]" if many else parts[0]


def _marks(lines: Sequence[Line], ts_ns: int) -> list[str]:
    return [mark_text(line, line.mark, ts_ns) for line in lines if line.mark is not None]
