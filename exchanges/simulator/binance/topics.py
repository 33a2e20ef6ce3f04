"""Public streams: what each one says, in Binance's words, and when.

Frames are written as text by hand: this is the path that carries tens of thousands of frames a second.
"""

from collections.abc import Callable

from exchanges.simulator.binance.desk import Line
from exchanges.simulator.binance.numbers import milliseconds, money
from exchanges.simulator.binance.outlet import Outlet, text_frame
from exchanges.simulator.binance.tape import Aggregate
from exchanges.simulator.core.values import BookChanged, MarkPriced, TradePrinted

_LINEAR_KIND = 1
"""`st` of USDⓈ-M frames since 2026; COIN-M has 2."""


class Topic:
    """A stream with somebody on it. Each frame is made once raw and once combined, for all of them."""

    routes = frozenset({"public"})
    """Where it is heard on USDⓈ-M; spot has no routes."""
    interval_ns = 0
    """0: speaks at every event; otherwise at each full interval of exchange time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.raw: set[Outlet] = set()
        self.combined: set[Outlet] = set()
        self.turn = -1

    def emit(self, payload: str) -> None:
        """Send to everybody on it."""
        if self.raw:
            frame = text_frame(payload)
            for outlet in self.raw:
                outlet.push(frame)
        if self.combined:
            frame = text_frame(f'{{"stream":"{self.name}","data":{payload}}}')
            for outlet in self.combined:
                outlet.push(frame)

    def on_book(self, line: Line, event: BookChanged) -> None:
        """A book changed; the line's mirror has it already."""

    def on_trade(self, line: Line, event: TradePrinted) -> None:
        """A trade was printed."""

    def on_aggregate(self, line: Line, aggregate: Aggregate) -> None:
        """An aggregated trade is complete."""

    def on_time(self, ts_ns: int) -> None:
        """An interval is over."""


class BookTicker(Topic):
    """Every change of the best prices or their sizes."""

    def on_book(self, line: Line, event: BookChanged) -> None:
        """Speaks where the top changed."""
        if not event.top_changed:
            return
        (bid, bid_lots), (ask, ask_lots) = line.mirror.top()
        price, quantity = line.printer.prices.text, line.printer.quantities.text
        body = (
            f'"s":"{line.symbol}","b":"{price(bid)}","B":"{quantity(bid_lots)}",'
            f'"a":"{price(ask)}","A":"{quantity(ask_lots)}"'
        )
        if line.is_spot:
            self.emit(f'{{"u":{event.last_id},{body}}}')
            return
        ms = milliseconds(event.ts_ns)
        self.emit(
            f'{{"e":"bookTicker","u":{event.last_id},"E":{ms},"T":{ms},"ps":"{line.symbol}",{body},"st":{_LINEAR_KIND}}}'
        )


class Depth(Topic):
    """Changed levels since the frame before; ids chain over what was left out."""

    def __init__(self, name: str, line: Line, interval_ns: int) -> None:
        super().__init__(name)
        self.interval_ns = interval_ns
        self._line = line
        self._first: BookChanged | None = None
        self._last: BookChanged | None = None
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def on_book(self, line: Line, event: BookChanged) -> None:
        """Gather; without an interval, speak at once."""
        self._first = self._first or event
        self._last = event
        self._bids.update(event.bids)
        self._asks.update(event.asks)
        if not self.interval_ns:
            self.on_time(event.ts_ns)

    def on_time(self, ts_ns: int) -> None:
        """Speak where anything changed."""
        first, last, line = self._first, self._last, self._line
        if first is None or last is None:
            return
        bids = tuple(sorted(self._bids.items(), reverse=True))
        asks = tuple(sorted(self._asks.items()))
        self._first = self._last = None
        self._bids.clear()
        self._asks.clear()
        body = f'"b":{line.printer.levels_json(bids)},"a":{line.printer.levels_json(asks)}'
        self.emit(_depth_text(line, ts_ns, last.ts_ns, first, last.last_id, body))


def _depth_text(line: Line, ts_ns: int, changed_ns: int, first: BookChanged, last_id: int, body: str) -> str:
    head = f'{{"e":"depthUpdate","E":{milliseconds(ts_ns)}'
    if line.is_spot:
        # Spot promises U = the u before + 1; futures chain by pu.
        return f'{head},"s":"{line.symbol}","U":{first.previous_id + 1},"u":{last_id},{body}}}'
    return (
        f'{head},"T":{milliseconds(changed_ns)},"s":"{line.symbol}","ps":"{line.symbol}","U":{first.first_id},'
        f'"u":{last_id},"pu":{first.previous_id},{body},"st":{_LINEAR_KIND}}}'
    )


class PartialDepth(Topic):
    """The best levels, whole, at each interval in which the book changed."""

    def __init__(self, name: str, line: Line, depth: int, interval_ns: int) -> None:
        super().__init__(name)
        self.interval_ns = interval_ns
        self._line = line
        self._depth = depth
        self._first: BookChanged | None = None
        self._last_ns = 0

    def on_book(self, line: Line, event: BookChanged) -> None:
        """Note that there is something to tell."""
        self._first = self._first or event
        self._last_ns = event.ts_ns

    def on_time(self, ts_ns: int) -> None:
        """Speak where anything changed."""
        first, line = self._first, self._line
        if first is None:
            return
        self._first = None
        bids, asks = line.mirror.best(self._depth)
        bids_text, asks_text = line.printer.levels_json(bids), line.printer.levels_json(asks)
        last_id = line.mirror.last_id
        if line.is_spot:
            self.emit(f'{{"lastUpdateId":{last_id},"bids":{bids_text},"asks":{asks_text}}}')
            return
        body = f'"b":{bids_text},"a":{asks_text}'
        self.emit(_depth_text(line, ts_ns, self._last_ns, first, last_id, body))


class Trades(Topic):
    """Every trade.

    USDⓈ-M's documentation puts `trade` on no route; clients ask for it on either (ccxt on `/public`).
    """

    routes = frozenset({"public", "market"})

    def on_trade(self, line: Line, event: TradePrinted) -> None:
        """Speaks."""
        ms = milliseconds(event.ts_ns)
        price, quantity = line.printer.prices.text(event.ticks), line.printer.quantities.text(event.lots)
        maker = "true" if event.buyer_is_maker else "false"
        if line.is_spot:
            body = f'"t":{event.trade_id},"p":"{price}","q":"{quantity}","T":{ms},"m":{maker},"M":true'
            # Recorded frames up to 2021 also name the two orders; the simulated market has no other orders to name.
            self.emit(f'{{"e":"trade","E":{ms},"s":"{line.symbol}",{body}}}')
            return
        body = f'"s":"{line.symbol}","ps":"{line.symbol}","t":{event.trade_id},"p":"{price}","q":"{quantity}"'
        self.emit(f'{{"e":"trade","E":{ms},"T":{ms},{body},"X":"MARKET","m":{maker},"st":{_LINEAR_KIND}}}')


class AggTrades(Topic):
    """Trades of one taker at one price, added up."""

    routes = frozenset({"market"})

    def on_aggregate(self, line: Line, aggregate: Aggregate) -> None:
        """Speaks."""
        ms = milliseconds(aggregate.ts_ns)
        price, quantity = line.printer.prices.text(aggregate.ticks), line.printer.quantities.text(aggregate.lots)
        maker = "true" if aggregate.buyer_is_maker else "false"
        head = f'{{"e":"aggTrade","E":{ms},"s":"{line.symbol}","a":{aggregate.number},"p":"{price}","q":"{quantity}"'
        tail = f'"f":{aggregate.first_id},"l":{aggregate.last_id},"T":{ms},"m":{maker}'
        if line.is_spot:
            self.emit(f'{head},{tail},"M":true}}')
        else:
            self.emit(f'{head},"nq":"{quantity}",{tail},"ps":"{line.symbol}","st":{_LINEAR_KIND}}}')


def mark_text(line: Line, event: MarkPriced, ts_ns: int) -> str:
    """A `markPriceUpdate`."""
    mark, index = money(event.mark), money(event.index)
    return (
        f'{{"e":"markPriceUpdate","E":{milliseconds(ts_ns)},"s":"{line.symbol}","ps":"{line.symbol}","p":"{mark}",'
        f'"ap":"{mark}","P":"{index}","i":"{index}","r":"{money(event.rate)}",'
        f'"T":{milliseconds(event.next_funding_ns)},"st":{_LINEAR_KIND}}}'
    )


class Periodic(Topic):
    """Speaks at each interval what a function says then; nothing where it says nothing."""

    routes = frozenset({"market"})

    def __init__(self, name: str, interval_ns: int, text: Callable[[int], str | None]) -> None:
        super().__init__(name)
        self.interval_ns = interval_ns
        self._text = text

    def on_time(self, ts_ns: int) -> None:
        """Speaks."""
        text = self._text(ts_ns)
        if text is not None:
            self.emit(text)
