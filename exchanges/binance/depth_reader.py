"""Binance's live order books: the depth stream, and snapshots over REST for the books that want one."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from bot.domain.instrument import Feed, Segment
from bot.ports import FeedState, Wiring
from bot.settings import Settings
from exchanges.binance.decoder import reason
from exchanges.binance.endpoints import REFUSED, VENUE, rest_url, stream_url
from exchanges.binance.order_book import BinanceBookBuilder
from exchanges.binance.schemas import AnyFrame
from exchanges.common.market.depth import DepthSink
from exchanges.common.market.depth_reader import DepthReader
from exchanges.common.market.plan import StreamPlan
from exchanges.common.market.snapshot_desk import SnapshotDesk
from exchanges.common.requests.public_http import PublicHttp

SNAPSHOT_DEPTH = 1_000
"""Levels of a snapshot: weight 50 of 6,000 a minute on spot, 20 of 2,400 on USDⓈ-M."""
SNAPSHOTS_PER_MINUTE = 36
"""Of a feed: three tenths of what its address may ask. After a lost connection every book is wanted at once: without
this, those of a hundred symbols would take all of it from cancels and hedges."""
MAX_SYMBOLS = 200
_STREAM = "{}@depth@100ms"
_NAME_AT = len(b'{"stream":"')
_PATHS = {Segment.SPOT: "/api/v3/depth", Segment.LINEAR: "/fapi/v1/depth"}
_ROUTES = {Segment.SPOT: "", Segment.LINEAR: "/public"}


class BinanceDepthReader(DepthReader[BinanceBookBuilder]):
    """Reads the books of one feed, spot or linear, into a sink."""

    def __init__(
        self,
        feed: Feed,
        slots: Mapping[str, int],
        sink: DepthSink,
        wiring: Wiring,
        depth: int = SNAPSHOT_DEPTH,
        per_minute: int = SNAPSHOTS_PER_MINUTE,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            feed: Spot or linear.
            slots: Binance's symbols, and the slots that the sink knows them by; at most `MAX_SYMBOLS`.
            sink: Where the books go.
            wiring: What its connections are made with; `tap` sees the frames of the stream, snapshots are none.
            depth: Levels of a snapshot, one of those that Binance offers.
            per_minute: So many snapshots are asked for at most.

        Raises:
            SettingsError: If the feed cannot be read live.
        """
        settings, clock = wiring.settings, wiring.clock
        self._rest_url = rest_url(feed, settings)
        self._depth = depth
        self.per_minute = per_minute
        """So many snapshots are asked for at most."""
        self._clock = clock
        self._http = PublicHttp(VENUE, clock=clock)
        self._desk = SnapshotDesk(
            self._fetch,
            self._deliver,
            settings=settings.connection,
            clock=clock,
            rng=wiring.rng,
            on_trouble=self._note,
            per_minute=per_minute,
        )
        self._state = FeedState.CLOSED
        plan = depth_plan(feed, sorted(slots), settings)
        super().__init__(plan, slots, sink, lambda _, events: BinanceBookBuilder(depth, events), wiring)
        self._by_stream = {_stream(symbol).encode(): builder for symbol, builder in self._builders.items()}

    async def start(self) -> None:
        """Connect; returns when the first change has come. Each book is VALID once its snapshot has.

        Raises:
            VenueError: Binance cannot be reached, does not serve this place, or acknowledges and stays silent.
        """
        try:
            await super().start()
        except BaseException:  # a cancelled start too leaves nothing open
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close every connection; nothing is delivered afterwards."""
        await self._desk.close()
        await super().stop()
        await self._http.close()

    def _on_wanted(self, symbol: str, reason: str) -> None:
        self._desk.want(symbol)

    def _on_valid(self, symbol: str) -> None:
        self._desk.settled(symbol)

    async def _fetch(self, symbol: str) -> bytes:
        return await fetch_snapshot(self._http, self._rest_url, self._feed, symbol, self._depth)

    def _deliver(self, symbol: str, raw: bytes) -> None:
        ts_recv_ns = self._clock.now_ns()
        self._builders[symbol].on_snapshot(raw, ts_recv_ns)
        self._sink.on_batch_end(ts_recv_ns)

    def _on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        end = raw.find(b'"', _NAME_AT)
        builder = self._by_stream.get(raw[_NAME_AT:end]) if end > 0 else None
        if builder is not None:
            builder.on_frame(raw, ts_recv_ns)
        else:
            self._on_other(raw, ts_recv_ns)

    def _on_other(self, raw: bytes, ts_recv_ns: int) -> None:
        """Acknowledgements, complaints, and streams of ours in an unusual spelling of JSON."""
        try:
            frame = AnyFrame.model_validate_json(raw)
        except ValidationError as error:
            self._sink.on_malformed(self._feed, raw, reason(error))
            return
        builder = self._by_stream.get((frame.stream or "").encode())
        if builder is not None:
            builder.on_frame(to_json(from_json(raw).get("data"), inf_nan_mode="constants"), ts_recv_ns)
        elif frame.error is not None:
            words = f"the venue answers with error {frame.error.code}: {frame.error.msg[:100]!r}"
            self._sink.on_malformed(self._feed, raw, words)

    def _on_state(self, state: FeedState, detail: str) -> None:
        self._state = state
        super()._on_state(state, detail)

    def _note(self, words: str) -> None:
        self._sink.on_feed_state(self._feed, self._state, words)


async def fetch_snapshot(http: PublicHttp, base_url: str, feed: Feed, symbol: str, depth: int) -> bytes:
    """The answer of `depth` for one symbol, as Binance sent it.

    Args:
        http: Of Binance.
        base_url: Of REST, without a slash at the end.
        feed: Spot or linear.
        symbol: In Binance's spelling.
        depth: Levels of each side.

    Raises:
        VenueError: Why there is none.
    """
    return await http.get(f"{base_url}{_PATHS[feed.segment]}?symbol={symbol}&limit={depth}")


def depth_plan(feed: Feed, symbols: Sequence[str], settings: Settings) -> StreamPlan:
    """The one connection that carries a feed's depth streams.

    Raises:
        SettingsError: If the feed cannot be read live.
        ValueError: If the symbols are more than `MAX_SYMBOLS`.
    """
    if len(symbols) > MAX_SYMBOLS:
        raise ValueError(f"{feed}: the books of {len(symbols)} instruments do not fit one connection ({MAX_SYMBOLS})")
    streams = tuple(_stream(symbol) for symbol in symbols)
    base = stream_url(feed, settings) + _ROUTES[feed.segment]
    return StreamPlan(
        name=f"{feed} depth {_ROUTES[feed.segment] or '/stream'}",
        feed=feed,
        url=f"{base}/stream?streams={'/'.join(streams)}",
        streams=streams,
        data_prefix=b'{"stream"',
        route_hint=f"check venues.{feed.venue}.{feed.segment}.stream_url, and that the symbols trade there",
        refused_status=REFUSED,
    )


def _stream(symbol: str) -> str:
    return _STREAM.format(symbol.lower())
