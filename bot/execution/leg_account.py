"""The account of one leg of a pair: what it traded, what it holds, and what closing it would bring."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

from bot.domain.fees import FeesOf, fee_asset, is_own_asset
from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Fill, Side
from bot.matching.cash import cash_asset, cash_flow, cash_value, from_float, ratio, trade_fee

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class LegView:
    """One leg of a pair: all its trades, opening and closing."""

    instrument: Instrument
    bought_quantity: Decimal
    """Venue units, like `sold_quantity` and `net_quantity`."""
    sold_quantity: Decimal
    net_quantity: Decimal
    """Bought − sold."""
    average_buy_price: Decimal | None
    """Quote units, 28 digits; None before the first fill of that side."""
    average_sell_price: Decimal | None
    fees: Mapping[str, Decimal]
    """Paid, by asset; negative is a rebate."""
    in_token: Mapping[tuple[str, bool, Decimal | None], Decimal]
    """Notional of the trades that were charged in an asset that is none of the instrument's own, quote units: by that
    asset, whether it was the maker's rate, and what was charged (`Fill.charged_bps`)."""
    net_base: Decimal
    """Base units held: of spot less the fees taken in base, of an inverse contract at the last fill's price."""
    beside: Mapping[str, Decimal]
    """The fees in base or quote that were not taken from what their trade brought, by asset: in base of what was sold,
    in quote of what was bought."""


class _Traded:
    """All fills of one side."""

    __slots__ = ("quantity", "value")

    def __init__(self) -> None:
        self.quantity = _NOTHING
        self.value = _NOTHING

    def add(self, fill: Fill) -> None:
        self.quantity += fill.quantity
        self.value += cash_value(fill.instrument, fill.price, fill.quantity)

    def average_price(self, instrument: Instrument) -> Decimal | None:
        contracts = self.quantity * instrument.contract_multiplier
        if not contracts or not self.value:
            return None
        inverse = instrument.segment is Segment.INVERSE
        return ratio(contracts, self.value) if inverse else ratio(self.value, contracts)


class LegAccount:
    """The trades of one leg."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.fees: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._bought = _Traded()
        self._sold = _Traded()
        self._in_token: defaultdict[tuple[str, bool, Decimal | None], Decimal] = defaultdict(Decimal)
        self._beside: defaultdict[str, Decimal] = defaultdict(Decimal)
        self._changes: list[tuple[int, Decimal]] = []
        """Of a position: the venue's time of each fill, UTC ns, and by how much it changed it."""
        self._last_price = _NOTHING

    @property
    def net_quantity(self) -> Decimal:
        """Bought − sold, venue units."""
        return self._bought.quantity - self._sold.quantity

    @property
    def is_spot(self) -> bool:
        """Whether it holds an asset and not a position."""
        return self.instrument.segment is Segment.SPOT

    @property
    def holding(self) -> Decimal:
        """Signed quantity that closing has to undo: a spot fee in base is gone already."""
        return self.net_quantity - self.fees.get(self.instrument.base, _NOTHING) if self.is_spot else self.net_quantity

    @property
    def was_position(self) -> bool:
        """Whether it ever held one."""
        return bool(self._changes)

    def quantity_at(self, ts_ns: int) -> Decimal:
        """Bought − sold of a position by the venue's time `ts_ns`, venue units."""
        return self.net_quantity - sum((by for changed_ns, by in self._changes if changed_ns > ts_ns), _NOTHING)

    def book(self, fill: Fill) -> Iterable[tuple[str, Decimal]]:
        """Count a fill; returns its cash flows as (asset, amount)."""
        (self._bought if fill.side is Side.BUY else self._sold).add(fill)
        self._last_price = fill.price
        if not self.is_spot:
            self._changes.append((fill.ts_event_ns, fill.side.sign * fill.quantity))
        self.fees[fill.fee_asset] += fill.fee
        if fill.fee and not is_own_asset(self.instrument, fill.fee_asset):
            self._in_token[fill.fee_asset, fill.is_maker, fill.charged_bps] += fill.notional
        elif fill.fee_asset != (self.instrument.base if fill.side is Side.BUY else self.instrument.quote):
            self._beside[fill.fee_asset] += fill.fee
        return [*_trade_flows(self.instrument, fill.side, fill.price, fill.quantity), (fill.fee_asset, -fill.fee)]

    def exit_flows(self, quotes: Mapping[str, TopOfBook], fees: FeesOf) -> Iterable[tuple[str, Decimal]] | None:
        """The flows of closing it at the touch, fee included; None where the quote or the fee is not known.

        A fee that will be taken in a venue's token counts for what it is worth, in the asset of any other fee.
        """
        quantity = abs(self.holding)
        if self.is_spot:
            quantity -= quantity % self.instrument.lot_size
        if not quantity:
            return ()
        side = Side.SELL if self.holding > 0 else Side.BUY
        price = _touch(quotes.get(self.instrument.id), side)
        schedule = fees(self.instrument)
        if price is None or schedule is None:
            return None
        fee = trade_fee(self.instrument, side, price, quantity, schedule.charged_bps(is_maker=False))
        return [*_trade_flows(self.instrument, side, price, quantity), (fee_asset(self.instrument, side), -fee)]

    def view(self) -> LegView:
        """It as a value."""
        return LegView(
            instrument=self.instrument,
            bought_quantity=self._bought.quantity,
            sold_quantity=self._sold.quantity,
            net_quantity=self.net_quantity,
            average_buy_price=self._bought.average_price(self.instrument),
            average_sell_price=self._sold.average_price(self.instrument),
            fees=dict(self.fees),
            in_token=dict(self._in_token),
            net_base=self._net_base(),
            beside=dict(self._beside),
        )

    def _net_base(self) -> Decimal:
        base = self.holding * self.instrument.contract_multiplier
        if base and self.instrument.segment is Segment.INVERSE:
            return ratio(base, self._last_price)
        return base


def _trade_flows(instrument: Instrument, side: Side, price: Decimal, quantity: Decimal) -> list[tuple[str, Decimal]]:
    cash = (cash_asset(instrument), cash_flow(instrument, side, price, quantity))
    return [(instrument.base, side.sign * quantity), cash] if instrument.segment is Segment.SPOT else [cash]


def _touch(quote: TopOfBook | None, side: Side) -> Decimal | None:
    if quote is None:
        return None
    price = quote.ask_price if side is Side.BUY else quote.bid_price
    return from_float(price) if isfinite(price) and price > 0 else None
