"""The bridge of one pair: from what the decisions expected to what came of it, closing to zero.

For every fill `f` of a pair: `s` its sign (+1 bought, −1 sold), `b` its base units, `n` its notional in quote units
(`n = b × fill price`), `k` the price of the *decision* (to open or to close), `e` the price *expected when its order*
*was made* (the same in the first round; later for retries and hedges). For every instrument `i` of the pair:
`R_i = Σ s b` the base units that its fills leave, `L_i` the price of its last fill, `M_i` the price at which a rest is
valued (its mark at the run's end, else `L_i`). Spot of one asset is the same asset at every venue: all spot instruments
of a pair have one `L` and one `M`, or a stock that was moved from venue to venue would be worth the difference of
their prices, which is what moving it has earned.

    expected_gross     = Σ −s k b + Σ_i R_i L_i              both decisions' prices × filled quantity
    slippage_opening   = Σ s (n − e b) over open_ fills      fill against expected, positive is a cost
    slippage_closing   = the same over close_ fills
    slippage_hedging   = the same over hedge_ fills
    drift              = Σ s (e − k) b                       the price moved between decision and order
    fees               = Σ fee, one in base at the fill price
    token_fees         = Σ what a fee in neither of them is worth: what the fee schedule charges for its trade
    funding            = Σ payment, one in base at its mark price; positive was received
    revaluation        = Σ_i R_i (M_i − L_i) − Σ base fee (M_i − fill price) + Σ base funding (M_i − its mark price)

    profit = expected_gross − slippage_opening − slippage_closing − slippage_hedging − drift
             − fees − token_fees + funding + revaluation

`profit` itself comes from another arithmetic: the cash that moved, instrument by instrument, what is left in base
at `M_i`, and the token fees. `residual` is the difference of the two and is exactly 0; anything else is a bug of ours.

A hedge that undoes an opening leg was never planned: its `k` is the opening decision's price of that instrument, so
that it expects nothing and all it costs is drift and slippage.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from bot.domain.instrument import Segment
from bot.domain.order import Side
from postmortem.bodies import FillBody, FundingBody, PairBody
from postmortem.exact import ZERO, Money, exact, quotient, total
from postmortem.token_fees import TokenFee


class Bridge(BaseModel):
    """All in quote units; slippage, drift and fees are positive when they cost."""

    model_config = ConfigDict(frozen=True)

    expected_gross: Money = ZERO
    slippage_opening: Money = ZERO
    slippage_closing: Money = ZERO
    slippage_hedging: Money = ZERO
    drift: Money = ZERO
    fees: Money = ZERO
    """In base or quote."""
    token_fees: Money = ZERO
    """In a venue's token: notional times the rate of the fee schedule that the run began with, discounts taken off.
    The token's own price is not recorded."""
    transfers: Money = ZERO
    """What transfers of chains kept of their amounts."""
    funding: Money = ZERO
    revaluation: Money = ZERO
    profit: Money = ZERO
    """From the cash that moved, not from the lines above."""
    residual: Money = ZERO
    """`profit` less what the lines above come to: exactly 0."""

    @property
    def slippage(self) -> Decimal:
        """Opening, closing and hedging together."""
        with exact():
            return self.slippage_opening + self.slippage_closing + self.slippage_hedging

    @property
    def realised_gross(self) -> Decimal:
        """What the fills' own prices made of `expected_gross`, before fees and funding."""
        with exact():
            return self.expected_gross - self.slippage - self.drift


def add_bridges(bridges: Iterable[Bridge]) -> Bridge:
    """Line by line."""
    parts = list(bridges)
    with exact():
        return Bridge(**{name: total(getattr(part, name) for part in parts) for name in Bridge.model_fields})


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill in base and quote units."""

    fill: FillBody
    base: Decimal
    notional: Decimal
    decided: Decimal
    """`k`."""
    expected: Decimal
    """`e`."""
    token_fee: Decimal = ZERO
    """What its fee is worth in quote units, where it was taken in a token; 0 where nothing tells."""

    @property
    def sign(self) -> int:
        """+1 bought, −1 sold."""
        return self.fill.side.sign

    @property
    def slippage(self) -> Decimal:
        """Quote units, positive is a cost."""
        return self.sign * (self.notional - self.expected * self.base)

    @property
    def base_fee(self) -> Decimal:
        """In base units; 0 where the fee was taken in something else."""
        return self.fill.fee if self.fill.fee_asset == self.fill.instrument.base else ZERO

    @property
    def quote_fee(self) -> Decimal:
        """In quote units; 0 where the fee was taken in something else."""
        return self.fill.fee if self.fill.fee_asset == self.fill.instrument.quote else ZERO


def trades(
    pair: PairBody, fills: Iterable[tuple[FillBody, bool]], token_fee: TokenFee = lambda fill: None
) -> list[Trade]:
    """A pair's fills with the prices that they are measured against.

    Args:
        pair: Its newest state.
        fills: In order, each with whether closing had been decided when it came.
        token_fee: What a fee in a venue's token is worth.
    """
    with exact():
        return [_trade(pair, fill, closing, token_fee(fill) or ZERO) for fill, closing in fills]


def build_bridge(
    trades: Sequence[Trade], funding: Sequence[FundingBody], marks: Mapping[str, Decimal], base_asset: str
) -> Bridge:
    """The bridge of a pair.

    Args:
        trades: Its fills, in order.
        funding: Its payments.
        marks: `M_i` by instrument id; an instrument without one is valued at its last fill.
        base_asset: What a payment that is not in quote is in.
    """
    with exact():
        last = {trade.fill.instrument.id: trade.fill.price for trade in trades}
        spot = list(dict.fromkeys(trade.fill.instrument.id for trade in trades if _is_spot(trade)))
        last |= dict.fromkeys(spot, next((last[t.fill.instrument.id] for t in reversed(trades) if _is_spot(t)), ZERO))
        left = _left_in_base(trades)
        base_funding = [payment for payment in funding if payment.asset == base_asset]
        values = {payment.instrument: payment.mark_price for payment in base_funding} | last
        values |= {id_: marks[id_] for id_ in values if id_ in marks}
        if (mark := next((marks[id_] for id_ in spot if id_ in marks), None)) is not None:
            values |= dict.fromkeys(spot, mark)
        terms = {
            "expected_gross": total(-t.sign * t.decided * t.base for t in trades)
            + total(rest * last[id_] for id_, rest in left.items()),
            "slippage_opening": total(t.slippage for t in trades if _phase(t) == "open"),
            "slippage_closing": total(t.slippage for t in trades if _phase(t) == "close"),
            "slippage_hedging": total(t.slippage for t in trades if _phase(t) == "hedge"),
            "drift": total(t.sign * (t.expected - t.decided) * t.base for t in trades),
            "fees": total(t.quote_fee + t.base_fee * t.fill.price for t in trades),
            "token_fees": total(t.token_fee for t in trades),
            "funding": total(_in_quote(payment, base_asset) for payment in funding),
            "revaluation": total(rest * (values[id_] - last[id_]) for id_, rest in left.items())
            - total(t.base_fee * (values[t.fill.instrument.id] - t.fill.price) for t in trades)
            + total(p.payment * (values[p.instrument] - p.mark_price) for p in base_funding),
        }
        profit = _cash_profit(trades, funding, values, base_asset)
        bridge = Bridge(**terms, profit=profit)
        return bridge.model_copy(update={"residual": profit - explained(bridge)})


def explained(bridge: Bridge) -> Decimal:
    """What the bridge's lines come to; call it inside `exact()`."""
    paid = bridge.fees + bridge.token_fees + bridge.transfers
    return bridge.realised_gross - paid + bridge.funding + bridge.revaluation


def _trade(pair: PairBody, fill: FillBody, closing: bool, token_fee: Decimal) -> Trade:
    instrument = fill.instrument
    contracts = fill.quantity * instrument.contract_multiplier
    inverse = instrument.segment is Segment.INVERSE
    decided = _decided(pair, fill, closing)
    return Trade(
        fill=fill,
        # Of an inverse contract the quote units are exact; its base units are rounded once, here, and used throughout.
        base=quotient(contracts, fill.price) if inverse else contracts,
        notional=contracts if inverse else contracts * fill.price,
        decided=decided,
        expected=fill.expected_price if fill.expected_price is not None else decided,
        token_fee=token_fee,
    )


def _decided(pair: PairBody, fill: FillBody, closing: bool) -> Decimal:
    """`k`: the price that the decision in force saw on this instrument."""
    bought = fill.instrument.id == pair.buy
    is_close = fill.leg is not None and fill.leg.startswith("close")
    is_hedge = fill.leg is not None and fill.leg.startswith("hedge")
    if is_close or (is_hedge and closing):
        if pair.exit_expected is None:
            return fill.expected_price if fill.expected_price is not None else fill.price
        sells = fill.side is Side.SELL if pair.is_round_trip else bought
        return pair.exit_expected.sell_price if sells else pair.exit_expected.buy_price
    if pair.is_round_trip:
        bought = fill.side is Side.BUY  # both sides are one instrument
    return pair.expected.buy_price if bought else pair.expected.sell_price


def _is_spot(trade: Trade) -> bool:
    return trade.fill.instrument.segment is Segment.SPOT


def _phase(trade: Trade) -> str:
    return (trade.fill.leg or "hedge").partition("_")[0]


def _left_in_base(trades: Iterable[Trade]) -> dict[str, Decimal]:
    left: defaultdict[str, Decimal] = defaultdict(Decimal)
    for trade in trades:
        left[trade.fill.instrument.id] += trade.sign * trade.base
    return left


def _in_quote(payment: FundingBody, base_asset: str) -> Decimal:
    return payment.payment * payment.mark_price if payment.asset == base_asset else payment.payment


def _cash_profit(
    trades: Iterable[Trade], funding: Iterable[FundingBody], values: Mapping[str, Decimal], base_asset: str
) -> Decimal:
    cash = ZERO
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    for trade in trades:
        cash -= trade.sign * trade.notional + trade.quote_fee + trade.token_fee
        held[trade.fill.instrument.id] += trade.sign * trade.base - trade.base_fee
    for payment in funding:
        if payment.asset == base_asset:
            held[payment.instrument] += payment.payment
        else:
            cash += payment.payment
    return cash + total(amount * values[id_] for id_, amount in held.items())
