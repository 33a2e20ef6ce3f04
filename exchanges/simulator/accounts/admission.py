"""What is refused before an order meets the book: form, grid, bands, limits."""

from decimal import Decimal

from bot.domain.instrument import Segment
from bot.domain.order import Side
from bot.matching.cash import exact
from exchanges.simulator.accounts.house import House
from exchanges.simulator.accounts.live_order import OrderLog
from exchanges.simulator.core.values import Kind, Lifetime, Listing, NewOrder, Refusal, TradingStatus


@exact
def refuse_form(house: House, orders: OrderLog, order: NewOrder) -> Refusal | None:
    """Why the exchange will not look at it, in the order in which exchanges find out; None where it will."""
    listing = house.listings.get(order.listing)
    if listing is None:
        return Refusal.UNKNOWN_INSTRUMENT
    return (
        _refuse_status(house, order)
        or _refuse_quantity(house, listing, order)
        or _refuse_price(house, listing, order)
        or _refuse_notional(house, listing, order)
        or _refuse_client_id(house, orders, order)
        or _refuse_number(house, orders, order)
    )


@exact
def refuse_size(house: House, order: NewOrder) -> Refusal | None:
    """What is wrong with the quantity of an order that is known already; None where nothing is."""
    listing = house.listings[order.listing]
    return _refuse_quantity(house, listing, order) or _refuse_notional(house, listing, order)


@exact
def market_limit(house: House, order: NewOrder) -> int:
    """The worst price in ticks that a market order takes: the band's end, never below one tick."""
    instrument = house.listings[order.listing].instrument
    band, mark = house.rules.bands[instrument.segment], house.market.mark(order.listing)
    if order.side is Side.BUY:
        return int(mark * band.highest_buy // instrument.tick_size)
    return max(1, -int(-(mark * band.lowest_sell) // instrument.tick_size))


def _refuse_status(house: House, order: NewOrder) -> Refusal | None:
    status = house.status(order.listing)
    allowed = status is TradingStatus.TRADING or (status is TradingStatus.SETTLING and order.reduce_only)
    return None if allowed else Refusal.NOT_TRADING


def _refuse_quantity(house: House, listing: Listing, order: NewOrder) -> Refusal | None:
    instrument = listing.instrument
    if (order.quantity is None) is (order.quote_quantity is None):
        return Refusal.BAD_QUANTITY
    if order.quote_quantity is not None:
        usable = instrument.segment is Segment.SPOT and order.kind is Kind.MARKET and _positive(order.quote_quantity)
        return None if usable else Refusal.BAD_QUANTITY
    quantity = order.quantity
    if quantity is None or not _positive(quantity):
        return Refusal.BAD_QUANTITY
    if quantity < instrument.min_quantity:
        return Refusal.QUANTITY_TOO_SMALL
    most = instrument.max_market_quantity if order.kind is Kind.MARKET else None
    if any(told is not None and quantity > told for told in (instrument.max_quantity, most)):
        return Refusal.QUANTITY_TOO_LARGE
    return Refusal.QUANTITY_OFF_GRID if quantity % instrument.lot_size else None


def _refuse_price(house: House, listing: Listing, order: NewOrder) -> Refusal | None:
    if order.kind is Kind.MARKET:
        return None if order.price is None else Refusal.PRICE_OFF_GRID
    if order.price is None or not _positive(order.price) or order.price % listing.instrument.tick_size:
        return Refusal.PRICE_OFF_GRID
    band, mark = house.rules.bands[listing.instrument.segment], house.market.mark(order.listing)
    lowest, highest = band.lowest_sell, band.highest_sell
    if order.side is Side.BUY:
        lowest, highest = band.lowest_buy, band.highest_buy
    return None if mark * lowest <= order.price <= mark * highest else Refusal.PRICE_OUT_OF_RANGE


def _refuse_notional(house: House, listing: Listing, order: NewOrder) -> Refusal | None:
    instrument = listing.instrument
    notional = order.quote_quantity
    if notional is None:
        assert order.quantity is not None, "checked before"
        price = house.market.mark(order.listing) if order.price is None else order.price
        notional = order.quantity * instrument.contract_multiplier
        notional *= 1 if instrument.segment is Segment.INVERSE else price
    most = instrument.max_notional
    if most is not None and order.price is not None and notional > most:
        return Refusal.NOTIONAL_TOO_LARGE
    if order.reduce_only and instrument.segment is not Segment.SPOT:
        return None
    return Refusal.NOTIONAL_TOO_SMALL if notional < instrument.min_notional else None


def _refuse_client_id(house: House, orders: OrderLog, order: NewOrder) -> Refusal | None:
    before = orders.find(order.listing, None, order.client_id) if order.client_id else None
    if before is None or (house.rules.client_ids_return and before.state.is_final):
        return None
    return Refusal.DUPLICATE_CLIENT_ID


def _refuse_number(house: House, orders: OrderLog, order: NewOrder) -> Refusal | None:
    rests = order.kind is Kind.LIMIT and order.lifetime in (Lifetime.GTC, Lifetime.POST_ONLY)
    full = rests and len(orders.open(order.listing)) >= house.rules.max_open_orders
    return Refusal.TOO_MANY_ORDERS if full else None


def _positive(number: Decimal) -> bool:
    return number.is_finite() and number > 0
