"""From a frame on the wire to a quote: against msgspec's bare decoding, and against cryptofeed's own handler."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks import cryptofeed_peer, msgspec_peer
from benchmarks.frames import SPOT, Quotes, bybit, market
from benchmarks.measure import Round, interleaved, per_item_us
from benchmarks.peers import absent, named
from benchmarks.rows import Row, Target, against, without_peer
from bot.domain.instrument import Segment
from bot.ports import MarketSink
from exchanges.binance.schemas import FuturesBookTicker, SpotBookTicker
from exchanges.registry import all_venues

_FRAMES = 10_000
_MSGSPEC = Target("ratio", at_most=True, limit=3.3, unit="us")
_CRYPTOFEED = {
    "binance": Target("ratio", at_most=True, limit=1.0, unit="us"),
    "bybit": Target("ratio", at_most=True, limit=0.5, unit="us"),
}


def binance(rounds: int) -> list[Row]:
    """Binance: validation alone against msgspec, the whole decoder against cryptofeed; spot and perpetual apart."""
    feeds = [quotes for quotes in market().feeds if quotes.instrument.venue == "binance"]
    source = market().source
    return [row for quotes in feeds for row in (_msgspec(quotes, source, rounds), _cryptofeed(quotes, source, rounds))]


def bybit_rows(rounds: int) -> list[Row]:
    """Bybit: the whole decoder against cryptofeed's."""
    return [_cryptofeed(bybit(), "generated sample", rounds)]


def _msgspec(quotes: Quotes, source: str, rounds: int) -> Row:
    raws = quotes.payloads[:_FRAMES]
    wire = SpotBookTicker if quotes.instrument.feed == SPOT else FuturesBookTicker
    validate, start = wire.__pydantic_validator__.validate_json, raws[0].index(b'"data":') + len(b'"data":')

    def ours() -> None:
        for raw in raws:
            validate(raw[start:-1])

    name = f"decode {quotes.instrument.feed} to a validated frozen model ({source})"
    note = "wire bytes to TopOfBook; msgspec: wire bytes to a frozen Struct of the same fields and units"
    peer = msgspec_peer.decoder(quotes.instrument.feed.segment is Segment.SPOT)
    return _row(
        name, raws, ours, "msgspec", None if peer is None else partial(_each, peer, raws), _MSGSPEC, note, rounds
    )


def _cryptofeed(quotes: Quotes, source: str, rounds: int) -> Row:
    raws = quotes.payloads[:_FRAMES]
    feed = quotes.instrument.feed
    name = f"decode {feed} to a callback ({source})"
    note = "our decoder with routing and order check to a synchronous callback; cryptofeed: message_handler to its own"
    handler = cryptofeed_peer.handler(feed, quotes.symbol, raws[0].decode())
    peer = None if handler is None else partial(_await_each, handler, [raw.decode() for raw in raws])
    ours = partial(_decode_all, quotes, raws)
    return _row(name, raws, ours, "cryptofeed", peer, _CRYPTOFEED[feed.venue], note, rounds)


def _row(
    name: str,
    raws: Sequence[bytes],
    ours: Callable[[], None],
    peer: str,
    theirs: Callable[[], None] | None,
    target: Target,
    note: str,
    rounds: int,
) -> Row:
    our_round: Round = partial(per_item_us, ours, len(raws))
    if theirs is None:
        return without_peer(name, "us", interleaved(rounds, our_round)[0], peer, target, absent(peer))
    samples = interleaved(rounds, our_round, partial(per_item_us, theirs, len(raws)))
    return against(name, "us", samples[0], named(peer), samples[1], target, note)


def _each(decode: Callable[[bytes], object], raws: Sequence[bytes]) -> None:
    for raw in raws:
        decode(raw)


def _await_each(handler: Callable[[str], Any], texts: Sequence[str]) -> None:
    async def run() -> None:
        for text in texts:
            await handler(text)

    asyncio.run(run())


def _decode_all(quotes: Quotes, raws: Sequence[bytes]) -> None:
    sink = _Sink()
    # A fresh decoder each time: the one before has seen these sequences.
    venue = all_venues()[quotes.instrument.venue]
    on_frame = venue.decoder(quotes.instrument.feed, {quotes.symbol: 0}, sink).on_frame
    for raw in raws:
        on_frame(raw, 1)
    if sink.quotes != len(raws):
        raise RuntimeError(f"{sink.quotes} quotes of {len(raws)} frames: the figure would mean nothing")


class _Sink(MarketSink):
    """Counts, as cryptofeed's callback does."""

    def __init__(self) -> None:
        self.quotes = 0

    def on_quote(self, slot: int, quote: object, ts_recv_ns: int, raw: bytes) -> None:
        self.quotes += 1
