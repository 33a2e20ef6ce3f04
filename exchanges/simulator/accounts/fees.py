"""Which fee a fill pays, and in what."""

from decimal import ROUND_UP, Context, Decimal

from bot.domain.fees import fee_asset
from bot.domain.instrument import Instrument
from bot.domain.order import Side
from bot.matching.cash import cash_asset, cash_value, exact, trade_fee
from exchanges.simulator.accounts.rules import FeeToken, VenueRules

_UP = Context(prec=1500, rounding=ROUND_UP)
_TOKEN_QUANTUM = Decimal("1e-8")


def rate_bps(rules: VenueRules, instrument: Instrument, is_maker: bool) -> Decimal:
    """In bps of notional; negative is a rebate."""
    schedule = rules.fees[instrument.segment]
    return schedule.maker_bps if is_maker else schedule.taker_bps


@exact
def fee_of(
    rules: VenueRules,
    instrument: Instrument,
    side: Side,
    price: Decimal,
    quantity: Decimal,
    *,
    is_maker: bool,
    token_free: Decimal | None,
) -> tuple[str, Decimal]:
    """Asset and amount of a fill's fee: in the venue's token while `token_free` covers it, else as `fee_asset` says.

    `token_free` None: the customer does not want to pay in the token.
    """
    bps = rate_bps(rules, instrument, is_maker)
    token = rules.fee_token
    if token is not None and token_free is not None and bps > 0:
        worth = token.prices.get(cash_asset(instrument))
        if worth is not None:
            amount = _in_token(token, worth, instrument, cash_value(instrument, price, quantity), bps)
            if amount <= token_free:
                return token.asset, amount
    if rules.fees_in_quote:
        return instrument.quote, (cash_value(instrument, price, quantity) * bps).scaleb(-4)
    return fee_asset(instrument, side), trade_fee(instrument, side, price, quantity, bps)


@exact
def fee_value(rules: VenueRules, instrument: Instrument, asset: str, fee: Decimal) -> Decimal:
    """What a derivative's fee is worth in its settle asset."""
    token = rules.fee_token
    if token is None or asset != token.asset or asset == cash_asset(instrument):
        return fee
    return fee * token.prices[cash_asset(instrument)]


@exact
def _in_token(token: FeeToken, worth: Decimal, instrument: Instrument, value: Decimal, bps: Decimal) -> Decimal:
    # Rounded up: a fee is never given away by rounding.
    kept = 1 - token.discounts.get(instrument.segment, Decimal(0))
    return _UP.quantize(_UP.divide((value * bps).scaleb(-4) * kept, worth), _TOKEN_QUANTUM)
