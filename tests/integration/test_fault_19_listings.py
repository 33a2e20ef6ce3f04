"""An instrument is taken off: read from the venues' own answers, over real sockets, up to the decision and the pair."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.domain.instrument import Feed, Instrument, ListingStatus, Segment
from bot.domain.route import Outcome
from bot.engine.terms.known import Terms
from bot.engine.terms.past_transfers import PastTransfers
from bot.engine.terms.terms_desk import TermsDesk
from bot.errors import VenueUnavailable
from bot.settings import EndpointSettings, Settings
from exchanges.coinbase import shipped as coinbase_shipped
from exchanges.kraken import shipped as kraken_shipped
from exchanges.terms import terms_sources
from tests.integration.ccxt_venues import COINBASE_PRODUCT, KRAKEN_PAIR
from tests.integration.sim_fault_venue_rig import connected
from tests.integration.test_terms_simulated import BY_FEED, answering, settings, sources
from tests.unit.test_engine_decisions import LINEAR, MS, SPOT, START_MS, Bench, in_position

MONTH_MS = 30 * 86_400_000
TRADING, HALTED, DELISTING = ListingStatus.TRADING, ListingStatus.HALTED, ListingStatus.DELISTING
SETTLING, UNKNOWN = ListingStatus.SETTLING, ListingStatus.UNKNOWN


async def test_fault_19_the_simulated_venues_tell_what_settles() -> None:
    async with connected() as here:
        asked = sources(here)

        async def statuses() -> dict[str, str]:
            found: dict[str, str] = {}
            for source in asked.values():
                told = await source.listings()
                assert told.wrong == {}
                found |= {subject: one.status.value for subject, one in told.values.items()}
            return found

        everything = {one.id for listed in BY_FEED.values() for one in listed.values()}
        assert await statuses() == dict.fromkeys(everything, "trading")
        here.sim.order("delisting,venue=binance,segment=linear,match=BTC,for_s=600")
        here.sim.order("delisting,venue=bybit,segment=linear,match=BTC,for_s=600")
        perpetuals = {"binance:BTC/USDT:USDT", "bybit:BTC/USDT:USDT"}
        gone = {subject for subject, status in (await statuses()).items() if status == "settling"}
        assert gone == {subject for subject in everything if subject in perpetuals}


async def test_fault_19_what_begins_to_settle_is_left_and_not_opened_again() -> None:
    async with connected() as here:
        bench = in_position()
        desk, asking = _desk(bench, here.sim.http)
        await desk.refresh()
        desk.start()
        here.sim.order("delisting,venue=binance,segment=linear,match=ETH,for_s=600")
        bench.clock.advance_to(bench.clock.now_ns() + 910_000 * MS)  # half of the time that a listing is good for
        assert len(asking) == 1
        await asking.pop()
        assert [line for line in bench.log if "binance:ETH/USDT:USDT is settling" in line]
        at_ms = bench.ms
        for step in range(1, 40):
            bench.spot(at_ms + 100 * step, "999.90", "1000.10")
            bench.linear(at_ms + 100 * step, "1010.00", "1010.20")
        desk.stop()
        assert not bench.engine.desk.executor.pairs
        outcomes = [(decision.outcome, decision.reason) for decision in bench.decisions]
        assert (Outcome.CLOSED, "delisting") in outcomes or (Outcome.CLOSED, "max_holding") in outcomes
        assert outcomes[-1] == (Outcome.REFUSED, "instrument_status binance:ETH/USDT:USDT")


def _desk(bench: Bench, url: str) -> tuple[TermsDesk, list[Awaitable[None]]]:
    by_feed = {SPOT.feed: {"ETHUSDT": SPOT}, LINEAR.feed: {"ETHUSDT": LINEAR}}
    there = settings(url)
    terms = Terms(
        terms_sources(by_feed, there, SystemClock(), {}), bench.instruments, bench.engine.fees, there, bench.clock,
        lambda *_: None, PastTransfers(None, lambda *_: None),
    )  # fmt: skip
    asking: list[Awaitable[None]] = []
    return TermsDesk(terms, bench.engine, bench.clock, {LINEAR.feed: 0.0}, asking.append), asking


def _row(**changes: object) -> dict[str, object]:
    return {"symbol": "BTCUSDT", "status": "TRADING", "deliveryDate": 4_133_404_800_000} | changes


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (_row(), TRADING),
        (_row(deliveryDate=START_MS + MONTH_MS), DELISTING),
        (_row(status="PRE_SETTLE"), SETTLING),
        (_row(status="SETTLING", deliveryDate=START_MS), SETTLING),
        (_row(status="PENDING_TRADING"), HALTED),
        (_row(status="ASLEEP"), UNKNOWN),
        ({"symbol": "BTCUSDT"}, None),
        (_row(symbol="ETHUSDT"), None),
    ],
)
async def test_fault_19_binances_words(row: dict[str, object], status: ListingStatus | None) -> None:
    await _tells("binance", Segment.LINEAR, {"/fapi/v1/exchangeInfo": {"symbols": [row]}}, status)


@pytest.mark.parametrize(
    ("word", "delivery", "status"),
    [
        ("Trading", "0", TRADING),
        ("Trading", "", TRADING),
        ("Trading", str(START_MS + MONTH_MS), DELISTING),
        ("Delivering", str(START_MS), SETTLING),
        ("Closed", "0", HALTED),
        ("PreLaunch", "0", HALTED),
        ("Trading", "soon", None),
        ("trading", "0", UNKNOWN),
    ],
)
async def test_fault_19_bybits_words(word: str, delivery: str, status: ListingStatus | None) -> None:
    row = {"symbol": "BTCUSDT", "status": word, "deliveryTime": delivery}
    await _tells("bybit", Segment.LINEAR, {"/v5/market/instruments-info": {"list": [row]}}, status)


@pytest.mark.parametrize(
    ("word", "status"),
    [("online", TRADING), ("cancel_only", HALTED), ("reduce_only", HALTED), ("delisted", UNKNOWN), (None, None)],
)
async def test_fault_19_krakens_words(word: str | None, status: ListingStatus | None) -> None:
    row = {name: value for name, value in KRAKEN_PAIR.items() if name != "status"} | ({"status": word} if word else {})
    await _tells("kraken", Segment.SPOT, {"/0/public/AssetPairs": {"error": [], "result": {"XXBTZUSD": row}}}, status)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, TRADING),
        ({"trading_disabled": True}, HALTED),
        ({"auction_mode": True}, HALTED),
        ({"status": "offline"}, HALTED),
        ({"status": "delisted", "is_disabled": True}, SETTLING),
        ({"status": "resting"}, UNKNOWN),
        ({"trading_disabled": "no"}, None),
    ],
)
async def test_fault_19_coinbases_words(changes: dict[str, object], status: ListingStatus | None) -> None:
    row = COINBASE_PRODUCT | changes
    await _tells("coinbase", Segment.SPOT, {"/api/v3/brokerage/market/products": {"products": [row]}}, status)


@pytest.mark.parametrize("venue", ["binance", "bybit", "kraken", "coinbase"])
async def test_fault_19_an_answer_that_is_none_is_an_error(venue: str) -> None:
    segment = Segment.LINEAR if venue in ("binance", "bybit") else Segment.SPOT
    for body in ({"code": -1}, []):
        paths = ("/fapi/v1/exchangeInfo", "/v5/market/instruments-info", "/0/public/AssetPairs",
                 "/api/v3/brokerage/market/products")  # fmt: skip
        async with answering(dict.fromkeys(paths, body)) as url:
            with pytest.raises(VenueUnavailable):
                await _source(venue, segment, url).listings()


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_fault_19_an_instrument_that_a_venue_has_no_longer_takes_no_other_with_it(venue: str) -> None:
    """Asked for by its symbol it is refused; what is said of the others holds."""
    feed = Feed(venue=venue, segment=Segment.SPOT)
    ((symbol, known),) = BY_FEED[feed].items()
    gone = known.model_copy(update={"symbol": "GONE/USDT", "base": "GONE"})
    async with connected() as here:
        listed = {feed: {"GONEUSDT": gone, symbol: known}}
        (source,) = terms_sources(listed, settings(here.sim.http), SystemClock(), {})
        told = await source.listings()
        assert {subject: one.status for subject, one in told.values.items()} == {known.id: TRADING}
        assert set(told.wrong) == {gone.id}


async def _tells(venue: str, segment: Segment, paths: dict[str, Any], status: ListingStatus | None) -> None:
    """None: the row is named as wrong, or missing, and has no status."""
    async with answering(paths) as url:
        told = await asyncio.wait_for(_source(venue, segment, url).listings(), 60)
    assert len(told.values) + len(told.wrong) == 1
    assert [one.status for one in told.values.values()] == ([] if status is None else [status])


def _source(venue: str, segment: Segment, url: str) -> Any:
    feed = Feed(venue=venue, segment=segment)
    here = EndpointSettings(rest_url=url)
    there = Settings.model_validate({"venues": {venue: {segment.value: here}}})
    (source,) = terms_sources({feed: _listed(feed)}, there, SystemClock(), {})
    return source


def _listed(feed: Feed) -> dict[str, Instrument]:
    """One instrument, by the venue's symbol."""
    if feed in BY_FEED:
        return {"BTCUSDT": BY_FEED[feed]["BTCUSDT"]}
    shipped = kraken_shipped if feed.venue == "kraken" else coinbase_shipped
    name = "BTC/USD" if feed.venue == "kraken" else "BTC-USD"
    return {name: shipped.INSTRUMENTS[name]}
