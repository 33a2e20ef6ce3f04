"""The bot's own readers while stream frames of the simulated exchanges go wrong."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import isfinite

import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.errors import VenueUnavailable
from bot.market.quote_gate import QuoteGate, RefusedQuote
from bot.ports import FeedState, LiveVenueModule, Wiring
from bot.settings import Settings
from exchanges.binance.venue import BinanceVenue
from exchanges.bybit.venue import BybitVenue
from exchanges.simulator.faults.catalogue import FaultKind
from tests.integration.sim_fault_frames_rig import BINANCE, BYBIT, LINES, SPOT, Line, Rig, rig

# Of Bybit's tickers most fields are not read, and those of funding may be empty.
_MATCH = {BYBIT: "orderbook"}
each_line = pytest.mark.parametrize("line", LINES, ids=["binance.linear", "binance.spot", "bybit.linear"])
PATIENT = {
    "first_frame_timeout_s": 30.0,
    "silence_timeout_s": 30.0,
    "stale_after_s": 20.0,
    "backoff_first_s": 0.02,
    "backoff_cap_s": 0.1,
}


class Heard:
    """Keeps what the reader delivers, quotes with what the gate says of them."""

    def __init__(self) -> None:
        self.gates = [QuoteGate(Settings().quote_gate) for _ in range(2)]
        self.accepted = 0
        self.refused: list[RefusedQuote] = []
        self.malformed: list[str] = []
        self.states: list[tuple[FeedState, str]] = []
        self.trades = 0

    def on_quote(self, slot, quote, ts_recv_ns, raw):
        refusal = self.gates[slot].refuse(quote, ts_recv_ns, None)
        if refusal is not None:
            self.refused.append(refusal)
            return
        self.accepted += 1
        assert quote.bid_price < quote.ask_price
        assert all(map(isfinite, (quote.bid_price, quote.bid_qty, quote.ask_price, quote.ask_qty)))

    def on_trade(self, slot, trade, ts_recv_ns):
        assert isfinite(trade.price * trade.quantity)
        self.trades += 1

    def on_funding(self, slot, funding, ts_recv_ns):
        assert funding.mark_price is None or isfinite(funding.mark_price)

    def on_malformed(self, feed, raw, why):
        self.malformed.append(why)

    def on_feed_state(self, feed, state, why):
        self.states.append((state, why))

    def on_timed_frame(self, feed, ts_event_ns, ts_recv_ns): ...

    def on_clock_offset(self, venue, offset_ns, round_trip_ns): ...

    def on_batch_end(self, ts_recv_ns): ...

    def was(self, state: FeedState) -> list[str]:
        return [why for one, why in self.states if one is state]


@pytest.fixture
async def here() -> AsyncIterator[Rig]:
    async with rig(rate=1.0) as one:
        yield one


def reader_of(here: Rig, line: Line, sink: Heard, **impatience: float):
    feed = Feed(venue=line.venue, segment=line.segment)
    place = {"rest_url": here.address.url, "stream_url": here.address.ws_url}
    told = {"connection": PATIENT | impatience, "venues": {line.venue: {str(line.segment): place}}}
    settings = Settings.model_validate(told)
    venue: LiveVenueModule = BinanceVenue() if line.venue == "binance" else BybitVenue()
    return venue.reader(feed, {"BTCUSDT": 0, "ETHUSDT": 1}, sink, Wiring(settings, SystemClock(), random.Random(1)))


@asynccontextmanager
async def reading(here: Rig, line: Line, **impatience: float) -> AsyncIterator[Heard]:
    sink = Heard()
    reader = reader_of(here, line, sink, **impatience)
    await reader.start()
    try:
        yield sink
    finally:
        await reader.stop()
    assert not sink.was(FeedState.FAILED)


async def goes_on(here: Rig, sink: Heard) -> None:
    """Quotes that may be traded on come again."""
    before = sink.accepted
    await here.until(lambda: sink.accepted > before + 3)


@each_line
async def test_silence_is_told_and_ended_by_a_new_connection(here: Rig, line: Line) -> None:
    # So far apart that a machine that stands still for a moment does not go past both at once.
    async with reading(here, line, stale_after_s=0.8, silence_timeout_s=3.0) as sink:
        await goes_on(here, sink)
        number = here.order(FaultKind.SILENCE, line, for_s=60)
        await here.until(lambda: sink.was(FeedState.SILENT))
        await here.until(lambda: sink.was(FeedState.RECONNECTING))
        lives = len(sink.was(FeedState.LIVE))
        accepted = sink.accepted
        await here.until(lambda: here.struck(number) > 20)
        # A connection that is opened meanwhile is not taken for a good one.
        assert (len(sink.was(FeedState.LIVE)), sink.accepted) == (lives, accepted)
        here.end(number)
        await goes_on(here, sink)


@each_line
async def test_a_start_without_data_fails_and_says_what_may_be_wrong(here: Rig, line: Line) -> None:
    here.order(FaultKind.NO_DATA, line, for_s=60)
    with pytest.raises(VenueUnavailable, match="acknowledged, but no frame"):
        await asyncio.wait_for(reader_of(here, line, Heard(), first_frame_timeout_s=2.0).start(), 60)


@each_line
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (FaultKind.CUT, "without a goodbye"),
        (FaultKind.DAY_CUT, "code 1000"),
        (FaultKind.OVERSIZED, ""),
    ],
)
async def test_a_connection_that_ends_is_replaced(here: Rig, line: Line, kind: FaultKind, says: str) -> None:
    async with reading(here, line) as sink:
        here.order(kind, line)
        await here.until(lambda: sink.was(FeedState.RECONNECTING))
        assert says in sink.was(FeedState.RECONNECTING)[0]
        await goes_on(here, sink)
        assert not sink.malformed


@each_line
@pytest.mark.parametrize("kind", [FaultKind.EMPTY_FIELD, FaultKind.TRUNCATED])
async def test_what_does_not_decode_is_counted_and_nothing_else(here: Rig, line: Line, kind: FaultKind) -> None:
    async with reading(here, line) as sink:
        number = here.order(kind, line, count=40, for_s=60, match=_MATCH.get(line, ""))
        await here.until(lambda: here.struck(number) == 40)
        await goes_on(here, sink)
        await here.until(lambda: len(sink.malformed) == 40)
        assert not sink.refused


@each_line
@pytest.mark.parametrize(
    ("kind", "refusal"),
    [(FaultKind.CROSSED, RefusedQuote.CROSSED), (FaultKind.NOT_A_NUMBER, RefusedQuote.NON_FINITE)],
)
async def test_what_decodes_and_is_no_quote_is_refused(
    here: Rig, line: Line, kind: FaultKind, refusal: RefusedQuote
) -> None:
    async with reading(here, line) as sink:
        number = here.order(kind, line, count=40, for_s=60, match=_MATCH.get(line, ""))
        await here.until(lambda: here.struck(number) == 40)
        await goes_on(here, sink)
        assert set(sink.refused) == {refusal}
        # Trades and funding meet no gate: their NaN stop at the decoder.
        assert len(sink.refused) + len(sink.malformed) == 40
        assert kind is not FaultKind.CROSSED or not sink.malformed


@pytest.mark.parametrize("line", [BINANCE, SPOT, BYBIT], ids=["binance.linear", "binance.spot", "bybit.linear"])
@pytest.mark.parametrize("kind", [FaultKind.GAP, FaultKind.DUPLICATE, FaultKind.REORDER])
async def test_best_prices_do_not_depend_on_every_frame(here: Rig, line: Line, kind: FaultKind) -> None:
    async with reading(here, line) as sink:
        number = here.order(kind, line, amount=2, for_s=60)
        await here.until(lambda: here.struck(number) > 20)
        here.end(number)
        await goes_on(here, sink)
        assert not sink.malformed
        assert not sink.refused
        assert not sink.was(FeedState.RECONNECTING)
