"""One amount followed through a chain, link by link, on every link's own grid: what each spends and what it brings.

A trade takes as many whole lots as the amount before it pays for, a transfer as many whole steps; what is left over
stays where it is, and is worth nothing here. A fee that is taken from what a trade brings is not there for the next
link; one that is paid in the venue's token leaves the amount as it was. Everything is exact: a float more than there is
would be an order that a wallet does not cover.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from bot.domain.fees import fee_asset
from bot.domain.instrument import Instrument
from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.route import Link, Route
from bot.ports import TransferEstimate
from bot.pricing.inputs import PricingInputs
from bot.pricing.ladder import Ladder
from bot.pricing.sizing import EXIT_ROOM, largest_order

_NOTHING = Decimal(0)
_ONE = Decimal(1)

DEPTH = "depth"
LOT = "lot"
"""What arrives at a link makes no whole lot of it."""
MINIMUM = "minimum"
"""What arrives at a link is less than its venue takes as an order."""
MIN_WITHDRAW = "min_withdraw"
MAX_WITHDRAW = "max_withdraw"


@dataclass(frozen=True, slots=True)
class Trading:
    """A link that trades: what its book offers, and what its venue takes as an order."""

    levels: tuple[tuple[Decimal, Decimal], ...]
    """Price and base units, best first."""
    floats: Sequence[tuple[float, float]]
    """The same, for estimates."""
    buys: bool
    """Whether it takes quote and brings base; otherwise the other way round."""
    keeps: Decimal
    """Part of what it brings that arrives: 1 − the fee, where the fee is taken from that asset."""
    keeps_float: float
    lot: Decimal
    """Base units; so is `min_quantity`, which is at least one lot."""
    min_quantity: Decimal
    min_notional: Decimal
    """Quote units at the expected price, so that the order at its limit price still has what the venue asks for."""
    end: str = DEPTH
    """What is in the way beyond `levels`: `depth`, or the name of the largest order that its venue takes."""

    def turn(self, amount: Decimal) -> Link | str:
        """As much of `amount` as makes whole lots; what kept it from that (its `end`, `lot`, `minimum`) otherwise."""
        quantity = self._bought_with(amount) if self.buys else amount
        if quantity is None:
            return self.end
        return self.take(quantity - quantity % self.lot, amount)

    def take(self, quantity: Decimal, most: Decimal | None = None) -> Link | str:
        """A quantity on the grid, which spends no more than `most`; or what keeps it from that."""
        if quantity <= 0:
            return LOT
        notional = self.notional(quantity)
        if notional is None:
            return self.end
        if self.buys and most is not None and notional > most:  # the quotient was rounded up to a whole lot
            return self.take(quantity - self.lot, most)
        if quantity < self.min_quantity or notional < self.min_notional:
            return MINIMUM
        quantity = _plain(quantity, self.lot)
        spends, brings = (notional, quantity) if self.buys else (quantity, notional)
        return Link(quantity=quantity, price=float(notional / quantity), spends=spends, brings=brings * self.keeps)

    def notional(self, quantity: Decimal) -> Decimal | None:
        """Quote units of a quantity, from the best level on; None where the book offers less."""
        left, total = quantity, _NOTHING
        for price, offered in self.levels:
            if left <= offered:
                return total + left * price
            total += offered * price
            left -= offered
        return None

    def quantity_for(self, notional: Decimal) -> Decimal:
        """The largest quantity on the grid whose notional is at most this; all that is offered where that is less."""
        found = self._bought_with(notional)
        quantity = sum((offered for _, offered in self.levels), _NOTHING) if found is None else found
        return quantity - quantity % self.lot

    def _bought_with(self, amount: Decimal) -> Decimal | None:
        left, taken = amount, _NOTHING
        for price, offered in self.levels:
            if left <= offered * price:
                return taken + left / price
            taken += offered
            left -= offered * price
        return None

    def least_for(self, wanted: Decimal) -> Decimal | None:
        """The smallest quantity on the grid that brings `wanted`, the fee taken off; None where the book ends before.

        Whether the venue takes so little is not asked.
        """
        before_fee = wanted / self.keeps
        quantity = before_fee
        if not self.buys:
            left, quantity = before_fee, _NOTHING
            for price, offered in self.levels:
                if left <= offered * price:
                    quantity += left / price
                    left = _NOTHING
                    break
                quantity += offered
                left -= offered * price
            if left:
                return None
        return self._up(quantity)

    def _up(self, quantity: Decimal) -> Decimal:
        short = quantity % self.lot
        return quantity + self.lot - short if short else quantity

    def least(self) -> Decimal:
        """About the smallest quantity that the venue takes, by the best price."""
        by_notional = self.min_notional / self.levels[0][0] if self.levels else _NOTHING
        return self._up(max(self.min_quantity, by_notional))


@dataclass(frozen=True, slots=True)
class Sending:
    """A link that moves the amount to another venue. Amounts are in units of the asset, the fee included."""

    fee: Decimal
    ratio: Decimal
    """Of the amount, on top of the fee."""
    least: Decimal
    most: Decimal | None
    step: Decimal
    """0: any amount is taken."""

    def turn(self, amount: Decimal) -> Link | str:
        """As much of `amount` as makes whole steps; what kept it from that otherwise."""
        sent = amount - amount % self.step if self.step else amount
        if self.most is not None and sent > self.most:
            return MAX_WITHDRAW
        brings = sent - self.fee - self.ratio * sent
        if sent < self.least or brings <= 0:
            return MIN_WITHDRAW
        return Link(quantity=sent, price=1.0, spends=sent, brings=brings)

    def least_for(self, wanted: Decimal) -> Decimal:
        """The smallest amount of which `wanted` arrives; whether the venue sends so little is not asked."""
        sent = (wanted + self.fee) / (_ONE - self.ratio)
        short = sent % self.step if self.step else _NOTHING
        return sent + self.step - short if short else sent


Stage = Trading | Sending


def stages(
    route: Route, inputs: PricingInputs, ladders: Sequence[Ladder], price_cap_bps: float = 0.0
) -> tuple[Stage, ...] | None:
    """The links of a chain as they can be walked; None while a fee or a transfer's terms are not known.

    Args:
        route: A chain.
        inputs: Where its fees and the terms of its transfers are read.
        ladders: What each of `route.priced` meets, in base units.
        price_cap_bps: How much worse than expected its orders' limits may be: minimums hold there as well.
    """
    found: list[Stage] = []
    met = iter(ladders)
    for leg in route.chain:
        if isinstance(leg, TransferLeg):
            estimate = inputs.transfers.get(leg)
            if estimate is None:
                return None
            found.append(_sending(estimate))
            continue
        keeps = part_kept(leg, inputs)
        if keeps is None:
            return None
        found.append(_trading(leg.instrument, next(met), leg, keeps, price_cap_bps))
    return tuple(found)


def _sending(estimate: TransferEstimate) -> Sending:
    return Sending(
        fee=_decimal(estimate.fee),
        ratio=_decimal(estimate.fee_ratio),
        least=_decimal(estimate.least),
        most=None if estimate.most is None else _decimal(estimate.most),
        step=_decimal(estimate.step),
    )


def _trading(of: Instrument, ladder: Ladder, leg: TradeLeg, keeps: Decimal, price_cap_bps: float) -> Trading:
    at_limit = max(_ONE - _decimal(price_cap_bps) / 10_000, Decimal("0.0001"))
    most = largest_order(of, price_cap_bps)
    floats, is_cut = _up_to(ladder, most.at(ladder.best_price) if ladder.levels else 0.0)
    return Trading(
        levels=tuple((_decimal(price), _decimal(quantity)) for price, quantity in floats),
        floats=floats,
        end=most.name if is_cut else DEPTH,
        buys=leg.brings == of.base,
        keeps=keeps,
        keeps_float=float(keeps),
        lot=of.lot_size,
        # A part of it may have to be turned back: by then the fee is gone, and the price may have fallen.
        min_quantity=max(of.min_quantity, of.lot_size) / EXIT_ROOM,
        min_notional=of.min_notional / EXIT_ROOM / at_limit,
    )


def _up_to(ladder: Ladder, most: float) -> tuple[Sequence[tuple[float, float]], bool]:
    """The levels as far as one order goes, in base units, and whether that is less than all of them."""
    if ladder.depth <= most:
        return ladder.levels, False
    found, left = [], most
    for price, offered in ladder.levels:
        found.append((price, min(offered, left)))
        left -= offered
        if left <= 0.0:
            break
    return found, True


def part_kept(leg: TradeLeg, inputs: PricingInputs) -> Decimal | None:
    """Of what a spot trade brings, the part that arrives: all, where its fee is paid in the venue's token."""
    fees = inputs.instruments[leg.instrument.id].fees
    if fees is None:
        return None
    if fees.token is not None or fee_asset(leg.instrument, leg.side) != leg.brings:
        return _ONE
    return _ONE - fees.rate_bps(is_maker=leg.is_maker) / 10_000


def walk(chain: Sequence[Stage], quantity: Decimal) -> tuple[Link, ...] | str:
    """Every link, where the first trades `quantity` base units on its grid; or what is in the way."""
    first = chain[0]
    link = first.take(quantity) if isinstance(first, Trading) else first.turn(quantity)
    found: list[Link] = []
    for stage in chain[1:]:
        if isinstance(link, str):
            return link
        found.append(link)
        link = stage.turn(link.brings)
    return link if isinstance(link, str) else (*found, link)


def least_first(chain: Sequence[Stage], last: Decimal, *, takes_minimums: bool = False) -> Decimal | None:
    """The smallest quantity of the first link with which the last one has `last`; None where a book ends before.

    Args:
        chain: The links.
        last: What the last link trades, on its grid; a chain ends with a trade.
        takes_minimums: Whether every link has at least what its venue takes, too.
    """
    wanted = last
    for at in range(len(chain) - 1, 0, -1):
        wanted_in = _put_in(chain[at], wanted, takes_minimums=takes_minimums)
        before = None if wanted_in is None else chain[at - 1].least_for(wanted_in)
        if before is None:
            return None
        wanted = before
    first = chain[0]
    return max(wanted, first.least()) if takes_minimums and isinstance(first, Trading) else wanted


def first_bringing(chain: Sequence[Stage], amount: Decimal) -> Decimal | None:
    """The smallest quantity of the first link with which the last one brings an amount; None where a book ends."""
    last = chain[-1].least_for(amount)
    return None if last is None else least_first(chain, last)


def _put_in(stage: Stage, wanted: Decimal, *, takes_minimums: bool) -> Decimal | None:
    """What a link needs before it to trade, or send, `wanted`."""
    if isinstance(stage, Sending):
        return max(wanted, stage.least) if takes_minimums else wanted
    quantity = max(wanted, stage.least()) if takes_minimums else wanted
    return stage.notional(quantity) if stage.buys else quantity


def _plain(quantity: Decimal, lot: Decimal) -> Decimal:
    """A quantity on the grid without the zeros that arithmetic has left behind: venues count digits."""
    short = quantity.quantize(lot)
    return short if short == quantity else quantity


def _decimal(figure: float) -> Decimal:
    return Decimal(repr(float(figure)))
