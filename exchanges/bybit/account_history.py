"""What Bybit tells of a whole account's orders and trades, asked over REST."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from bot.clock import Clock
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import Fill
from bot.ports.account import KnownFill, OrderFound
from exchanges.bybit.order_requests import fill_of, report_of
from exchanges.bybit.private_schemas import ExecutionRow, ExecutionRows, OrderRows
from exchanges.bybit.signed_rest import SignedRest, Values
from exchanges.common.account.asked_account import LONGEST_NS

_MS = 1_000_000
_SPAN_NS = 7 * 24 * 3_600_000_000_000
"""A question by time may reach over no more than this."""
_MOST_PAGES = 50


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
        values = {**place, "limit": "50"}
        found: list[OrderFound] = []
        for _ in range(_MOST_PAGES):
            page = await self._rest.read("/v5/order/realtime", OrderRows, values)
            for row in page.rows:
                instrument = listed.get(row.symbol)
                if instrument is not None:
                    said = report_of(row)
                    found.append(
                        OrderFound(
                            said.client_order_id,
                            instrument,
                            said.status,
                            said.filled_quantity,
                            said.venue_order_id,
                            said.reason,
                        )
                    )
            if not page.next_cursor:
                break
            values["cursor"] = page.next_cursor
        return found

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
        found: list[ExecutionRow] = []
        now_ns = self._clock.now_ns()
        for start_ns in range(max(since_ns, now_ns - LONGEST_NS), max(now_ns, since_ns + 1), _SPAN_NS):
            values = {"category": str(segment), "startTime": str(start_ns // _MS), "limit": "100"}
            if len(named) == 1:
                values["symbol"] = next(iter(named))
            if start_ns + _SPAN_NS < now_ns:
                values["endTime"] = str((start_ns + _SPAN_NS) // _MS)
            for _ in range(_MOST_PAGES):
                page = await self._rest.read("/v5/execution/list", ExecutionRows, values)
                found += page.rows
                if not page.next_cursor:
                    break
                values["cursor"] = page.next_cursor
        return found


def _places(segment: Segment, listed: Iterable[Instrument]) -> list[Values]:
    """Spot is asked as a whole, derivatives by the coin that they settle in."""
    if segment is Segment.SPOT:
        return [{"category": "spot"}]
    settles = sorted({instrument.settle or instrument.quote for instrument in listed})
    return [{"category": str(segment), "settleCoin": settle} for settle in settles]
