"""What a ccxt venue tells of a whole account's orders and trades."""

from collections.abc import Collection, Mapping, Sequence

from bot.clock import Clock
from bot.domain.instrument import Instrument
from bot.domain.order import Fill
from bot.ports.account import KnownFill, OrderFound
from exchanges.ccxt.dialect import Dialect, Row
from exchanges.ccxt.errors import translated
from exchanges.ccxt.orders import CcxtOrders
from exchanges.ccxt.reports import fill_of, report_of
from exchanges.ccxt.session import Session
from exchanges.common.account.asked_account import LONGEST_NS

_MS = 1_000_000
_REMEMBERED = 10_000


class CcxtHistory:
    """An `AccountHistory` through ccxt."""

    def __init__(
        self,
        session: Session,
        dialect: Dialect,
        orders: CcxtOrders,
        instruments: Mapping[str, Instrument],
        clock: Clock,
    ) -> None:
        """Ask about `instruments` (by id); what `orders` has sent is known by name already."""
        self._session = session
        self._dialect = dialect
        self._orders = orders
        self._by_symbol = {one.symbol: one for one in instruments.values()}
        self._clock = clock
        self._names: dict[str, str] = {}
        """Client order id by the venue's id, of orders that were not sent here; empty where one has none."""

    async def open_orders(self) -> Sequence[OrderFound]:
        """Every open order on the instruments of this run.

        Raises:
            VenueError: It cannot be asked.
        """
        with translated(self._dialect.venue):
            rows = await self._session.client.fetch_open_orders()
        return [
            self._found(self._by_symbol[row["symbol"]], row) for row in rows if row.get("symbol") in self._by_symbol
        ]

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        """Own trades since then, oldest first, but for those that are `known`.

        Raises:
            VenueError: It cannot be asked.
        """
        venue = self._dialect.venue
        wanted = {one.symbol for one in instruments} & self._by_symbol.keys()
        since_ms = max(since_ns, self._clock.now_ns() - LONGEST_NS) // _MS
        with translated(venue):
            rows = await self._dialect.trades_since(self._session.client, wanted, since_ms)
        news = [row for row in rows if not known(self._by_symbol[row["symbol"]].id, str(row.get("id")))]
        await self._learn_names({str(row.get("order")) for row in news})
        fills = [fill_of(venue, self._by_symbol[row["symbol"]], self._name(row), row) for row in news]
        return sorted(fills, key=lambda fill: fill.ts_event_ns)

    def _found(self, instrument: Instrument, row: Row) -> OrderFound:
        return report_of(self._dialect.venue, self._dialect.own_id(row), row).on(instrument)

    def _name(self, trade: Row) -> str:
        order = str(trade.get("order"))
        return self._orders.named(order) or self._names.get(order, "")

    async def _learn_names(self, orders: Collection[str]) -> None:
        strange = [one for one in orders if self._orders.named(one) is None and one not in self._names]
        if strange:
            with translated(self._dialect.venue):
                self._names |= await self._dialect.names(self._session.client, strange)
        while len(self._names) > _REMEMBERED:
            del self._names[next(iter(self._names))]
