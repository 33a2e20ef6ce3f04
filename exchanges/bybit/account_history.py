"""What Bybit tells of a whole account's orders and trades, asked over REST."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import Fill
from bot.ports.account import KnownFill, OrderFound
from exchanges.bybit.order_requests import fill_of, report_of
from exchanges.bybit.pages import all_rows, executions_since
from exchanges.bybit.private_schemas import ExecutionRow, OrderRows
from exchanges.bybit.signed_rest import SignedRest, Values


class BybitHistory:
    """An `AccountHistory` over Bybit's signed REST interface."""

    def __init__(self, rest: SignedRest, by_feed: Mapping[Feed, Mapping[str, Instrument]], clock: Clock) -> None:
        """Ask about the instruments of `by_feed`."""
        self._rest = rest
        self._by_feed = by_feed
        self._clock = clock

    async def open_orders(self) -> Sequence[OrderFound]:
        """Every open order on the instruments of this run.

        Raises:
            VenueError: It cannot be asked.
        """
        found: list[OrderFound] = []
        for feed, listed in self._by_feed.items():
            for values in _places(feed.segment, listed.values()):
                found += await self._open_orders(values, listed)
        return found

    async def _open_orders(self, place: Values, listed: Mapping[str, Instrument]) -> list[OrderFound]:
        rows = await all_rows(self._rest, "/v5/order/realtime", OrderRows, {**place, "limit": "50"})
        return [report_of(row).on(listed[row.symbol]) for row in rows if row.symbol in listed]

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        """Own trades since then, oldest first, but for those that are `known`.

        Raises:
            VenueError: It cannot be asked.
        """
        wanted = {instrument.id for instrument in instruments}
        fills: dict[tuple[str, str], Fill] = {}
        for feed, listed in self._by_feed.items():
            named = {symbol: one for symbol, one in listed.items() if one.id in wanted}
            for row in await self._executions(feed.segment, named, since_ns) if named else ():
                fill = fill_of(named[row.symbol], row) if row.symbol in named else None
                if fill is not None and not known(fill.instrument.id, fill.fill_id):
                    fills[fill.instrument.id, fill.fill_id] = fill
        return sorted(fills.values(), key=lambda fill: fill.ts_event_ns)

    async def _executions(self, segment: Segment, named: Mapping[str, Instrument], since_ns: int) -> list[ExecutionRow]:
        values = {"category": str(segment)}
        if len(named) == 1:
            values["symbol"] = next(iter(named))
        return await executions_since(self._rest, values, since_ns, self._clock)


def _places(segment: Segment, listed: Iterable[Instrument]) -> list[Values]:
    """Spot is asked as a whole, derivatives by the coin that they settle in."""
    if segment is Segment.SPOT:
        return [{"category": "spot"}]
    settles = sorted({instrument.settle or instrument.quote for instrument in listed})
    return [{"category": str(segment), "settleCoin": settle} for settle in settles]
