"""How the margin wallets would stand with a proposal filled."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bot.domain.account import Position
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side
from bot.engine.slot import InstrumentSlot
from bot.ports import Actions
from bot.risk.limits import Proposal
from bot.risk.margin import MarginAfter, MarginPosition, margin_figures


class _Held(NamedTuple):
    """A position in floats; quantity signed, in contracts times multiplier."""

    instrument: Instrument
    quantity: float
    average_price: float


class _Wallet(NamedTuple):
    name: str
    cash: float
    held: tuple[_Held, ...]


class Margins:
    """Takes balances and positions from the venues when they may have changed, and values them at each question."""

    def __init__(self, actions: Actions, slots: Mapping[str, InstrumentSlot], maintenance_ratio: float) -> None:
        self._actions = actions
        self._slots = slots
        self._maintenance_ratio = maintenance_ratio
        self._wallets: dict[str, _Wallet | None] = {}
        self._proposal: Proposal | None = None
        self._after: Sequence[MarginAfter] | None = None

    def changed(self) -> None:
        """Balances or positions may be others: a fill, a payment, a second that has passed."""
        self._wallets.clear()
        self._proposal = None

    def after(self, proposal: Proposal) -> Sequence[MarginAfter] | None:
        """Each margin wallet that the proposal touches; None where a wallet or a price is not known.

        Several limits ask about the same proposal: it is answered once.
        """
        if proposal is not self._proposal:
            self._proposal, self._after = proposal, self._figures(proposal)
        return self._after

    def _figures(self, proposal: Proposal) -> Sequence[MarginAfter] | None:
        legs = [leg for leg in proposal.route.opening if leg.instrument.is_perpetual]
        found: list[MarginAfter] = []
        for leg in legs:
            wallet = self._wallet(leg.instrument)
            if wallet is None:
                return None
            if any(after.wallet == wallet.name for after in found):
                continue  # both legs of the route lie in it: they were counted together
            positions = self._valued(wallet)
            if positions is None:
                return None
            own = [other for other in legs if self._wallet(other.instrument) is wallet]
            added = [_added(other.instrument, other.side, proposal.quantity, proposal.price(other)) for other in own]
            ratio, distance_bps = margin_figures(wallet.cash, [*positions, *added], self._maintenance_ratio)
            slot = self._slots.get(leg.instrument.id)
            volatility = None if slot is None else slot.statistics.volatility_bps_per_sqrt_s
            found.append(MarginAfter(wallet.name, leg.instrument.venue, ratio, distance_bps, volatility))
        return found

    def _valued(self, wallet: _Wallet) -> list[MarginPosition] | None:
        """What the wallet carries at the prices now; None where one has no price."""
        positions = []
        for held in wallet.held:
            price = self._price(held.instrument)
            if price is None:
                return None
            positions.append(_valued(held, price))
        return positions

    def _price(self, instrument: Instrument) -> float | None:
        """Mid now, or lately on average; None for what is not watched."""
        slot = self._slots.get(instrument.id)
        if slot is None:
            return None
        return slot.statistics.mean_mid if slot.quote is None else slot.quote.mid

    def _wallet(self, instrument: Instrument) -> _Wallet | None:
        if instrument.id not in self._wallets:
            self._wallets[instrument.id] = self._find(instrument)
        return self._wallets[instrument.id]

    def _find(self, instrument: Instrument) -> _Wallet | None:
        """The balance that settles an instrument, with all positions that it carries; None where there is none."""
        cash = {b.wallet: b.total for b in self._actions.balances() if b.asset == instrument.settle}
        name = _wallet_name(instrument, cash)
        if name is None:
            return None
        label = f"{name} {instrument.settle}"
        same = next((known for known in self._wallets.values() if known is not None and known.name == label), None)
        if same is not None:
            return same  # one object for one wallet, whichever instrument asked first
        held = [
            _held(position)
            for position in self._actions.positions()
            if position.instrument.settle == instrument.settle and _wallet_name(position.instrument, cash) == name
        ]
        return _Wallet(label, float(cash[name]), tuple(held))


def _wallet_name(instrument: Instrument, known: Mapping[str, object]) -> str | None:
    """A feed's own wallet, or the venue's only one that is not a feed's; None where that is not clear."""
    feed = str(instrument.feed)
    if feed in known:
        return feed
    segments = {f"{instrument.venue}.{segment}" for segment in Segment}
    shared = [name for name in known if name.partition(".")[0] == instrument.venue and name not in segments]
    return shared[0] if len(shared) == 1 else None


def _held(position: Position) -> _Held:
    quantity = float(position.quantity * position.instrument.contract_multiplier)
    return _Held(position.instrument, quantity, float(position.average_price))


def _valued(held: _Held, price: float) -> MarginPosition:
    """In the settle asset: quote units for a linear contract, base units for an inverse one."""
    instrument = held.instrument
    if instrument.segment is Segment.INVERSE:
        value = held.quantity / price
        profit = (held.quantity / held.average_price - value) if held.average_price else 0.0
        return MarginPosition(instrument.id, instrument.base, value, profit, is_inverse=True)
    profit = held.quantity * (price - held.average_price)
    return MarginPosition(instrument.id, instrument.base, held.quantity * price, profit)


def _added(instrument: Instrument, side: Side, quantity: float, price: float) -> MarginPosition:
    """A leg of a proposal, base units at its price: no profit yet."""
    if instrument.segment is Segment.INVERSE:
        return MarginPosition(instrument.id, instrument.base, side.sign * quantity, 0.0, is_inverse=True)
    return MarginPosition(instrument.id, instrument.base, side.sign * quantity * price, 0.0)
