"""`/v5/account/transaction-log`: everything that changed the unified wallet, coin by coin.

Source: https://bybit-exchange.github.io/docs/v5/account/transaction-log.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bot.domain.order import Side
from bot.matching.cash import exact
from exchanges.simulator.bybit.catalogue import Entry, plain
from exchanges.simulator.bybit.customer import UNIFIED, Customer
from exchanges.simulator.bybit.ids import order_id, trade_id
from exchanges.simulator.bybit.params import page
from exchanges.simulator.bybit.requests import Call
from exchanges.simulator.core.forced import is_deleveraging, is_liquidation
from exchanges.simulator.core.values import AccountChanged, AccountFill, Cause, OrderView

_MS = 1_000_000
_ZERO = Decimal(0)
_FORCED = ("LIQUIDATION", "ADL")
_TOLD_BY_FILLS = (Cause.LIQUIDATION, Cause.ADL)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one coin; all amounts are of that coin."""

    source: AccountFill | AccountChanged
    entry: Entry | None
    coin: str
    kind: str
    cash_flow: Decimal
    """Traded or moved; + came in."""
    fee: Decimal = _ZERO
    """Positive is paid."""
    funding: Decimal | None = None
    """+ was received."""

    @property
    @exact
    def amount(self) -> Decimal:
        """What it did to the balance; + came in."""
        return self.cash_flow - self.fee + (self.funding or _ZERO)


def transaction_log(call: Call) -> dict[str, Any]:
    """Changes of the unified wallet, newest first, each with the balance after it."""
    wanted = [one for one in _newest_first(call) if _is_wanted(call, one[0])]
    shown, cursor = page(wanted, call.params, default=20, most=50)
    return {"nextPageCursor": cursor, "list": [_row(call, *one) for one in shown]}


@exact
def _newest_first(call: Call) -> list[tuple[Change, Decimal]]:
    changes = sorted(_changes(call), key=lambda one: one.source.ts_ns)
    after = {one.asset: one.total for one in call.own.account.balances() if one.wallet == UNIFIED}
    result = []
    for change in reversed(changes):
        balance = after.get(change.coin, _ZERO)
        result.append((change, balance))
        after[change.coin] = balance - change.amount
    return result


def _changes(call: Call) -> Iterator[Change]:
    for entry in call.venue.catalogue.entries:
        for fill in call.own.account.fills(entry.index):
            yield from _of_fill(call.own, entry, fill)
    for event in call.own.account.income():
        if isinstance(event, AccountChanged) and event.cause not in _TOLD_BY_FILLS and event.amount:
            yield from _of_event(call, event)


def _of_fill(own: Customer, entry: Entry, fill: AccountFill) -> Iterable[Change]:
    instrument = entry.instrument
    if not entry.is_spot:
        return (Change(fill, entry, fill.fee_asset, _kind(own, entry, fill), fill.realised, fill.fee),)
    flows = {instrument.base: fill.side.sign * fill.quantity, instrument.quote: -fill.side.sign * _value(fill)}
    return [
        Change(fill, entry, coin, "TRADE", flow, fill.fee if coin == fill.fee_asset else _ZERO)
        for coin, flow in flows.items()
    ]


def _kind(own: Customer, entry: Entry, fill: AccountFill) -> str:
    order = own.account.order(listing=entry.index, number=fill.order_number, client_id=None)
    if not isinstance(order, OrderView):
        return "TRADE"
    return "LIQUIDATION" if is_liquidation(order) else "ADL" if is_deleveraging(order) else "TRADE"


@exact
def _value(fill: AccountFill) -> Decimal:
    return fill.price * fill.quantity


def _of_event(call: Call, event: AccountChanged) -> Iterable[Change]:
    entry = call.venue.catalogue.at(event.listing) if event.listing is not None else None
    if event.cause is Cause.FUNDING:
        return (Change(event, entry, event.asset, "SETTLEMENT", _ZERO, funding=event.amount),)
    if {one.wallet for one in event.balances} != {UNIFIED}:
        return ()
    if event.cause is Cause.INSURANCE:
        return (Change(event, entry, event.asset, "LIQUIDATION", event.amount),)
    kind = "TRANSFER_IN" if event.amount > 0 else "TRANSFER_OUT"
    return (Change(event, entry, event.asset, kind, event.amount),)


def _is_wanted(call: Call, change: Change) -> bool:
    params = call.params
    category, coin, kind = params.text("category", ""), params.text("currency", ""), params.text("type", "")
    base = params.text("baseCoin", "")
    start, end = params.integer("startTime", 0), params.integer("endTime", 2**53)
    entry = change.entry
    return (
        coin in ("", change.coin)
        and kind in ("", change.kind)
        and (not category or (entry is not None and entry.category == category))
        and (not base or (entry is not None and entry.instrument.base == base))
        and start <= change.source.ts_ns // _MS <= end
    )


def _row(call: Call, change: Change, balance: Decimal) -> dict[str, Any]:
    source, entry = change.source, change.entry
    row = {
        "id": f"{change.coin}_{source.ts_ns}",
        "symbol": entry.symbol if entry else "",
        "category": entry.category if entry else "",
        "side": "None",
        "transactionTime": str(source.ts_ns // _MS),
        "type": change.kind,
        "transSubType": "",
        "qty": "0",
        "size": "0",
        "currency": change.coin,
        "tradePrice": "0",
        "funding": "" if change.funding is None else plain(change.funding),
        "fee": plain(change.fee),
        "cashFlow": plain(change.cash_flow),
        "change": plain(change.amount),
        "cashBalance": plain(balance),
        "feeRate": "0",
        "bonusChange": "",
        "tradeId": "",
        "orderId": "",
        "orderLinkId": "",
        "extraFees": "",
    }
    if entry is None:
        return row
    return row | (_traded(call.own, entry, change, source) if isinstance(source, AccountFill) else _settled(source))


def _traded(own: Customer, entry: Entry, change: Change, fill: AccountFill) -> dict[str, Any]:
    found = own.account.order(listing=entry.index, number=fill.order_number, client_id=None)
    link = own.shown(found).request.client_id if isinstance(found, OrderView) else ""
    if change.kind in _FORCED:
        link = ""  # the exchange's own orders have none
    value = _value(fill)
    whole = fill.quantity if entry.is_spot and fill.fee_asset == entry.instrument.base else value
    return {
        "side": "Buy" if fill.side is Side.BUY else "Sell",
        "qty": plain(fill.quantity),
        "tradePrice": plain(fill.price),
        "feeRate": plain(round(fill.fee / whole, 8)) if whole else "0",
        "tradeId": trade_id(entry.segment, entry.index, fill.trade_id),
        "orderId": order_id(entry.segment, own.public_number(fill)),
        "orderLinkId": link,
    }


def _settled(event: AccountChanged) -> dict[str, Any]:
    if event.cause is not Cause.FUNDING:
        return {}
    return {
        "side": "Buy" if event.quantity > 0 else "Sell",
        "qty": plain(abs(event.quantity)),
        "size": plain(event.quantity),
        "tradePrice": plain(event.mark),
        "feeRate": plain(event.rate),
    }
