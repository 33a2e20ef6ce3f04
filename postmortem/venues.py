"""What was traded where: each instrument of the realised pairs, and what every venue's account has of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from bot.domain.instrument import Segment
from bot.domain.order import Side
from postmortem.bodies import FillBody, FundingBody
from postmortem.exact import ZERO, exact, quotient
from postmortem.model import InstrumentLine
from postmortem.story import Amounts, PairStory, amounts_of, cash_of


def instrument_lines(pairs: Sequence[PairStory]) -> list[InstrumentLine]:
    """A line for each instrument that these pairs traded, by venue and symbol.

    Cash, fees and funding of all lines add up to the pairs' own, asset by asset; what transfers kept is in none.
    """
    fills: defaultdict[str, list[FillBody]] = defaultdict(list)
    funding: defaultdict[str, list[FundingBody]] = defaultdict(list)
    for pair in pairs:
        for fill, _ in pair.fills:
            fills[fill.instrument.id].append(fill)
        for payment in pair.funding:
            funding[payment.instrument].append(payment)
    with exact():
        return [_line(id_, fills[id_], funding[id_]) for id_ in sorted({*fills, *funding})]


def _line(instrument_id: str, fills: Sequence[FillBody], funding: Sequence[FundingBody]) -> InstrumentLine:
    bought, sold = ([fill for fill in fills if fill.side is side] for side in (Side.BUY, Side.SELL))
    paid = amounts_of([{payment.asset: payment.payment} for payment in funding])
    return InstrumentLine(
        venue=instrument_id.partition(":")[0],
        instrument=instrument_id,
        fills=len(fills),
        bought=_quantity(bought),
        average_buy_price=average_price(bought),
        sold=_quantity(sold),
        average_sell_price=average_price(sold),
        fees=amounts_of([{fill.fee_asset: fill.fee} for fill in fills]),
        funding=paid,
        by_asset=_flows(fills, paid),
    )


def _flows(fills: Iterable[FillBody], funding: Amounts) -> Amounts:
    flows: defaultdict[str, Decimal] = defaultdict(Decimal, funding)
    for fill in fills:
        for asset, amount in cash_of(fill):
            flows[asset] += amount
        flows[fill.fee_asset] -= fill.fee
    return {asset: amount for asset, amount in flows.items() if amount}


def _quantity(fills: Iterable[FillBody]) -> Decimal:
    return sum((fill.quantity for fill in fills), ZERO)


def average_price(fills: Sequence[FillBody]) -> Decimal | None:
    """What one base unit was traded at on average, quote units, cut off at 18 decimals; None without fills.

    Of an inverse contract, whose value is in base, the harmonic mean: contracts over the base units that they came to.
    """
    quantity = _quantity(fills)
    if not quantity:
        return None
    if fills[0].instrument.segment is not Segment.INVERSE:
        return quotient(sum((fill.quantity * fill.price for fill in fills), ZERO), quantity)
    return quotient(quantity, sum((quotient(fill.quantity, fill.price) for fill in fills), ZERO))
