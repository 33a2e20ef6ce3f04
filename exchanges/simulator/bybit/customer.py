"""One API key: its orders as it knows them, and its private topics, told a moment after what they tell of."""

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from bot.clock import Clock
from bot.domain.instrument import Segment
from bot.domain.order import Side
from exchanges.simulator.bybit import order_rows, wallet_rows
from exchanges.simulator.bybit.catalogue import Catalogue, Entry
from exchanges.simulator.bybit.connection import Connection, broadcast
from exchanges.simulator.bybit.hub import Hub
from exchanges.simulator.bybit.ids import Sequence as Ids
from exchanges.simulator.bybit.live import decimal_mid
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.orders import OrderDesk
from exchanges.simulator.bybit.wire import Row, dumps
from exchanges.simulator.core.forced import is_deleveraging, is_liquidation
from exchanges.simulator.core.ports import Account
from exchanges.simulator.core.values import (
    AccountChanged,
    AccountEvent,
    AccountFill,
    BalanceView,
    Cause,
    OrderState,
    OrderUpdated,
    OrderView,
    PositionView,
)
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.orders import OrderFaults

UNIFIED = "unified"
FUND = "fund"
_MS = 1_000_000
_ZERO = Decimal(0)
_DOLLARS = ("USDT", "USDC", "USD")


class Customer:
    """What Bybit keeps of one key; listens to its account for good."""

    def __init__(
        self,
        key: str,
        account: Account,
        catalogue: Catalogue,
        hub: Hub,
        clock: Clock,
        options: BybitOptions,
        faults: FaultDesk | None = None,
    ) -> None:
        """`faults`: what is to go wrong on its topics; None: nothing."""
        self.key = key
        self.account = account
        self.desk = OrderDesk(account, catalogue)
        self.listeners: dict[str, dict[Connection, None]] = defaultdict(dict)
        self.transfers: list[dict[str, Any]] = []
        self.requests: dict[str, int] = {}
        """Withdrawals by `requestId`."""
        self.withdrawn_ns: dict[tuple[str, str], int] = {}
        self._catalogue = catalogue
        self._hub = hub
        self._clock = clock
        self._delay_s = options.result_delay_s
        self._faults = OrderFaults(faults)
        self._waiting: deque[list[tuple[str, str]]] = deque()
        self._ids = Ids(key[:8])
        self._closed: defaultdict[int, Decimal] = defaultdict(Decimal)
        for fill in account.fills(None):
            self._closed[fill.order_number] += fill.realised
        self._stop = account.listen(self._on_event)

    def close(self) -> None:
        """Hear nothing any more."""
        self._stop()
        self._waiting.clear()

    # What it has.

    def order_row(self, entry: Entry, view: OrderView) -> Row:
        """An order as the account shows it, as the client knows it."""
        shown = self.desk.lineages.shown(view)
        row = order_rows.order_row(entry, shown, self._closed[shown.number])
        forced = _forced(shown)
        return row if forced is None else row | {"createType": forced[1], "orderLinkId": ""}

    def shown(self, view: OrderView) -> OrderView:
        """An order as the client knows it."""
        return self.desk.lineages.shown(view)

    def is_replaced(self, view: OrderView) -> bool:
        """Whether an amendment took its place."""
        return view.number in self.desk.lineages.replaced

    def executions(self, entry: Entry) -> list[tuple[Entry, AccountFill, Decimal]]:
        """All fills of one listing, newest first, and what their order had filled by then."""
        done: defaultdict[int, Decimal] = defaultdict(Decimal)
        result = []
        for fill in self.account.fills(entry.index):
            done[fill.order_number] += fill.quantity
            result.append((entry, fill, done[fill.order_number]))
        return result[::-1]

    def public_number(self, fill: AccountFill) -> int:
        """The number that the client knows a fill's order by."""
        return self.desk.lineages.first(fill.order_number)

    def execution_row(self, entry: Entry, fill: AccountFill, done: Decimal) -> Row:
        """One of them."""
        return self._execution(entry, fill, self._view(entry, fill.order_number), done)

    def _view(self, entry: Entry, number: int) -> OrderView | None:
        found = self.account.order(listing=entry.index, number=number, client_id=None)
        return found if isinstance(found, OrderView) else None

    def _execution(self, entry: Entry, fill: AccountFill, view: OrderView | None, done: Decimal) -> Row:
        left = view.quantity - done if view is not None else _ZERO
        shown = self.desk.lineages.shown(view) if view is not None else None
        live = self._hub.live(entry.index)
        row = order_rows.execution_row(entry, fill, shown, max(left, _ZERO), decimal_mid(live), live.mirror.seq)
        forced = None if shown is None else _forced(shown)
        return row if forced is None else row | {"execType": forced[0], "createType": forced[1], "orderLinkId": ""}

    def position_rows(self, positions: Sequence[PositionView], *, on_topic: bool) -> list[Row]:
        """These positions."""
        result = []
        for view in positions:
            entry = self._catalogue.at(view.listing)
            if entry is not None:
                seq = self._hub.live(entry.index).mirror.seq
                result.append(wallet_rows.position_row(entry, view, seq, on_topic=on_topic))
        return result

    def flat(self, entry: Entry) -> PositionView:
        """The position of a contract that was never traded."""
        return PositionView(
            listing=entry.index,
            quantity=_ZERO,
            entry_price=_ZERO,
            mark=self._hub.live(entry.index).mark,
            leverage=self.account.leverage(entry.index),
            unrealised=_ZERO,
            realised=_ZERO,
            liquidation_price=None,
            initial_margin=_ZERO,
            maintenance_margin=_ZERO,
            updated_ns=0,
        )

    def wallet(self, coins: Sequence[str] = ()) -> Row:
        """The unified wallet; of `coins` only, where some are named."""
        positions = self.account.positions()
        balances = [one for one in self.account.balances() if one.wallet == UNIFIED]
        locked = self._spot_locked()
        coin_rows = [self._coin(one, positions, locked) for one in balances]
        whole = wallet_rows.wallet_row(coin_rows)
        return {**whole, "coin": [row for row in coin_rows if row["coin"] in coins]} if coins else whole

    def _coin(self, balance: BalanceView, positions: Sequence[PositionView], locked: dict[str, Decimal]) -> Row:
        asset = balance.asset
        settles = [one for one in positions if self._settle(one) == asset]
        is_collateral = any(one.instrument.settle == asset for one in self._catalogue.entries)
        return wallet_rows.coin_row(
            balance, self.dollars(asset), settles, locked.get(asset, _ZERO), is_collateral=is_collateral
        )

    def _settle(self, position: PositionView) -> str | None:
        entry = self._catalogue.at(position.listing)
        return entry.instrument.settle if entry is not None else None

    def _spot_locked(self) -> dict[str, Decimal]:
        locked: defaultdict[str, Decimal] = defaultdict(Decimal)
        for view in self.account.open_orders(None):
            entry = self._catalogue.at(view.request.listing)
            if entry is None or not entry.is_spot:
                continue
            left = view.quantity - view.filled
            if view.request.side is Side.SELL:
                locked[entry.instrument.base] += left
            else:
                locked[entry.instrument.quote] += left * (view.request.price or _ZERO)
        return locked

    def dollars(self, asset: str) -> Decimal:
        """What one unit is worth; 0 where nobody trades it for dollars."""
        if asset in _DOLLARS:
            return Decimal(1)
        entry = self._catalogue.get("spot", asset + "USDT") or self._catalogue.get("linear", asset + "USDT")
        return decimal_mid(self._hub.live(entry.index)) if entry is not None else _ZERO

    # What it hears.

    def _on_event(self, event: AccountEvent) -> None:
        messages = self._of_order(event) if isinstance(event, OrderUpdated) else self._of_change(event)
        if not messages:
            return
        self._waiting.append(messages)
        self._clock.call_later(self._delay_s, self._tell)

    def _tell(self) -> None:
        # One message per timer, the oldest first: timers of the same moment may fire in any order.
        if self._waiting:
            for topic, text in self._waiting.popleft():
                broadcast(list(self.listeners.get(topic, ())), text)

    def _of_order(self, event: OrderUpdated) -> list[tuple[str, str]]:
        view, fill = event.order, event.fill
        entry = self._catalogue.at(view.request.listing)
        if entry is None:
            return []
        if self.is_replaced(view) and view.state is OrderState.CANCELLED:
            return []
        messages = []
        if fill is not None:
            self._closed[self.desk.lineages.shown(view).number] += fill.realised
            done = partial(self._execution, entry, fill, view, view.filled)
            messages += self._texts("execution", entry.segment, lambda: [done()], event.ts_ns)
            messages += self._texts("execution.fast", entry.segment, lambda: [order_rows.fast_row(done())], event.ts_ns)
        messages += self._texts("order", entry.segment, lambda: [self.order_row(entry, view)], event.ts_ns)
        if fill is not None and messages:
            messages *= self._faults.times_told(entry.instrument)
        return messages

    def _of_change(self, event: AccountChanged) -> list[tuple[str, str]]:
        messages = []
        if event.cause is Cause.FUNDING and event.listing is not None:
            messages += self._of_funding(event, event.listing)
        if event.positions:
            position_rows = partial(self.position_rows, event.positions, on_topic=True)
            messages += self._texts("position", Segment.LINEAR, position_rows, event.ts_ns)
        if any(balance.wallet == UNIFIED for balance in event.balances):
            messages += self._texts("wallet", None, lambda: [self.wallet()], event.ts_ns)
        return messages

    def _of_funding(self, event: AccountChanged, listing: int) -> list[tuple[str, str]]:
        entry = self._catalogue.at(listing)
        if entry is None:
            return []
        row = order_rows.funding_row(entry, event, self._hub.live(listing).mirror.seq)
        return self._texts("execution", entry.segment, lambda: [row], event.ts_ns)

    def _texts(
        self, topic: str, segment: Segment | None, make: Callable[[], list[Row]], ts_ns: int
    ) -> list[tuple[str, str]]:
        names = [topic] if segment is None else [topic, f"{topic}.{segment}"]
        heard = [name for name in names if self.listeners.get(name)]
        data = make() if heard else []
        if not data:
            return []
        rest = {"creationTime": ts_ns // _MS, "data": data}
        if topic == "execution.fast":
            return [(name, dumps({"topic": name, **rest})) for name in heard]
        return [(name, dumps({"id": self._ids.next(), "topic": name, **rest})) for name in heard]


def _forced(view: OrderView) -> tuple[str, str] | None:
    """`execType` and `createType` of an order that the exchange placed; Bybit gives these no link id.

    `BustTrade` is a takeover by the liquidation engine; what is liquidated in the book trades as any order does.
    """
    if is_liquidation(view):
        return "Trade", "CreateByLiq"
    return ("AdlTrade", "CreateByAdl_PassThrough") if is_deleveraging(view) else None
