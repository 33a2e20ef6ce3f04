"""Whether an account can pay for an order."""

from decimal import Decimal

from bot.domain.instrument import Segment
from bot.domain.order import Side
from bot.matching.cash import cash_asset, cash_value, exact, trade_fee
from exchanges.simulator.accounts.fees import rate_bps
from exchanges.simulator.accounts.house import House
from exchanges.simulator.accounts.live_order import LiveOrder
from exchanges.simulator.accounts.money import Money, spent_asset
from exchanges.simulator.accounts.plan import Plan
from exchanges.simulator.core.values import Kind, Refusal


@exact
def refuse_cost(house: House, money: Money, order: LiveOrder, plan: Plan) -> Refusal | None:
    """Why the wallet does not allow it; None where it does."""
    instrument = order.listing.instrument
    wallet = money.wallet(instrument)
    if instrument.segment is Segment.SPOT:
        enough = _spot_cost(order, plan) <= money.free(wallet, spent_asset(order))
        return None if enough else Refusal.INSUFFICIENT_BALANCE
    if order.request.reduce_only:
        return None
    needed = _margin_needed(house, money, order, plan)
    enough = needed <= 0 or needed <= money.margin_free(wallet, cash_asset(instrument))
    return None if enough else Refusal.INSUFFICIENT_MARGIN


def _spot_cost(order: LiveOrder, plan: Plan) -> Decimal:
    instrument = order.listing.instrument
    if not order.buys:
        return order.lots * instrument.lot_size
    if order.request.kind is Kind.LIMIT:
        return order.reserve
    return plan.tick_lots * instrument.tick_size * instrument.lot_size


def _margin_needed(house: House, money: Money, order: LiveOrder, plan: Plan) -> Decimal:
    """Initial margin that the order adds, and fee and loss at the mark of the part that opens a position."""
    instrument, listing = order.listing.instrument, order.request.listing
    price = _worst_price(order, plan)
    quantity = order.lots * instrument.lot_size
    if price is None:
        return Decimal(0)
    value = cash_value(instrument, price, quantity)
    sides = (value, Decimal(0)) if order.buys else (Decimal(0), value)
    added = money.initial_margin(listing, *sides) - money.initial_margin(listing)
    side, mark = order.request.side, house.market.mark(listing)
    opening = money.opening_part(listing, side, quantity)
    worse = cash_value(instrument, price, opening) - cash_value(instrument, mark, opening)
    loss = max(Decimal(0), worse if side is Side.BUY else -worse)
    fee = trade_fee(instrument, side, price, opening, rate_bps(house.rules, instrument, is_maker=False))
    return added + loss + max(Decimal(0), fee)


def _worst_price(order: LiveOrder, plan: Plan) -> Decimal | None:
    ticks = order.ticks if order.ticks is not None else plan.worst_ticks
    return None if ticks is None else ticks * order.listing.instrument.tick_size
