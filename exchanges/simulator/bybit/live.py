"""One listing while it is watched: its book, its tape, and its topics."""

from decimal import Decimal

from exchanges.simulator.bybit.books import BestChannel, DepthChannel
from exchanges.simulator.bybit.catalogue import Entry
from exchanges.simulator.bybit.channel import Channel, EventChannel, PacedChannel
from exchanges.simulator.bybit.ids import trade_id
from exchanges.simulator.bybit.mirror import Mirror
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.tape import Tape
from exchanges.simulator.bybit.tickers import CandleChannel, TickerChannel
from exchanges.simulator.core.ports import Market
from exchanges.simulator.core.values import BookChanged, FundingDue, MarkPriced, TradePrinted

_MS = 1_000_000
_DEPTHS_MS = {50: 20, 200: 100, 1000: 200}
_TICKER_MS = {"linear": 100, "spot": 50}
_CANDLE_MS = 1_000
MIRROR_DEPTH = 1_000
INTERVALS = {
    "1": 1,
    "3": 3,
    "5": 5,
    "15": 15,
    "30": 30,
    "60": 60,
    "120": 120,
    "240": 240,
    "360": 360,
    "720": 720,
    "D": 1440,
}
"""Candle lengths in minutes, by the name that Bybit gives them."""


class Live:
    """Follows one listing's events and tells its topics."""

    def __init__(self, entry: Entry, market: Market, options: BybitOptions, now_ns: int) -> None:
        self.entry = entry
        self._options = options
        levels = market.levels(entry.index, MIRROR_DEPTH)
        self.mirror = Mirror(levels, market.book_id(entry.index), now_ns)
        self.mark = market.mark(entry.index)
        self.tape = Tape(_middle(levels[0], levels[1], int(self.mark / entry.instrument.tick_size)), now_ns)
        self._channels: dict[str, Channel] = {}
        self._trades = EventChannel()
        self._paced: list[PacedChannel] = []
        self._on_top: list[PacedChannel] = []
        self._on_trade: list[PacedChannel] = []
        self._on_mark: list[PacedChannel] = []
        self._on_depth: list[PacedChannel] = []

    @property
    def paced(self) -> list[PacedChannel]:
        """Topics that push at times of their own."""
        return self._paced

    def channel(self, kind: str) -> Channel | None:
        """The topic of this name without its symbol, as `orderbook.50`; None where Bybit has none such."""
        known = self._channels.get(kind)
        if known is None:
            known = self._make(kind)
            if known is not None:
                self._channels[kind] = known
        return known

    def _make(self, kind: str) -> Channel | None:
        name, _, detail = kind.partition(".")
        if name == "orderbook":
            return self._make_book(detail)
        if name == "kline" and detail in INTERVALS:
            candles = CandleChannel(self.entry, self.tape, detail, INTERVALS[detail], _CANDLE_MS * _MS)
            return self._keep(candles, self._on_trade)
        if kind == "publicTrade":
            return self._trades
        if kind == "tickers":
            interval_ns = _TICKER_MS[self.entry.category] * _MS
            ticker = TickerChannel(self.entry, self.mirror, self.tape, self.mark, interval_ns)
            return self._keep(ticker, self._on_top, self._on_trade, self._on_mark)
        return None

    def _make_book(self, detail: str) -> Channel | None:
        if detail == "1":
            options = self._options
            best = BestChannel(self.entry, self.mirror, options.best_interval_ms * _MS, options.best_repeat_ms * _MS)
            return self._keep(best, self._on_top)
        depth = int(detail) if detail.isascii() and detail.isdigit() and len(detail) < 5 else 0
        if depth not in _DEPTHS_MS or str(depth) != detail:
            return None
        return self._keep(DepthChannel(self.entry, self.mirror, depth, _DEPTHS_MS[depth] * _MS), self._on_depth)

    def _keep(self, channel: PacedChannel, *causes: list[PacedChannel]) -> PacedChannel:
        self._paced.append(channel)
        for cause in causes:
            cause.append(channel)
        return channel

    def on_book(self, change: BookChanged) -> None:
        """Take a change of the book in."""
        self.mirror.apply(change)
        for channel in self._on_depth:
            channel.changed(change.ts_ns)
        if change.top_changed:
            for channel in self._on_top:
                channel.changed(change.ts_ns)

    def on_mark(self, mark: MarkPriced) -> None:
        """Take a mark price in."""
        self.mark = mark.mark
        self.tape.mark = mark
        for channel in self._on_mark:
            channel.changed(mark.ts_ns)

    def on_funding(self, funding: FundingDue) -> None:
        """Keep a settlement."""
        self.tape.fundings.append(funding)

    def on_trades(self, trades: list[TradePrinted]) -> None:
        """Take in trades of one moment, and push them as one frame."""
        rows = [self._trade(trade, self.tape.add(trade)) for trade in trades]
        ts_ns = trades[-1].ts_ns
        for channel in self._on_trade:
            channel.changed(ts_ns)
        if self._trades.listeners:
            self._trades.say((self._trade_frame(ts_ns // _MS, ",".join(rows)),))

    def _trade_frame(self, ts_ms: int, rows: str) -> str:
        kind = f'"ts":{ts_ms},"type":"snapshot"' if self.entry.is_spot else f'"type":"snapshot","ts":{ts_ms}'
        return f'{{"topic":"publicTrade.{self.entry.symbol}",{kind},"data":[{rows}]}}'

    def _trade(self, trade: TradePrinted, direction: str) -> str:
        entry, grid = self.entry, self.entry.grid
        side = "Sell" if trade.buyer_is_maker else "Buy"
        return (
            f'{{"T":{trade.ts_ns // _MS},"s":"{entry.symbol}","S":"{side}","v":"{grid.quantity(trade.lots)}",'
            f'"p":"{grid.price(trade.ticks)}","L":"{direction}",'
            f'"i":"{trade_id(entry.segment, entry.index, trade.trade_id)}","BT":false,"RPI":false,'
            f'"seq":{self.mirror.seq}}}'
        )


def _middle(bids: tuple[tuple[int, int], ...], asks: tuple[tuple[int, int], ...], otherwise: int) -> int:
    return (bids[0][0] + asks[0][0]) // 2 if bids and asks else otherwise


def decimal_mid(live: Live) -> Decimal:
    """The mark price of a contract; of a pair the middle of its book."""
    bids, asks = live.mirror.best(1)
    if not live.entry.is_spot or not bids or not asks:
        return live.mark
    return live.entry.instrument.tick_size * (bids[0][0] + asks[0][0]) / 2
