"""Faults of a venue itself, done to a simulated exchange: clock, keys, listings, networks, positions."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial

from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.core.values import TradingStatus
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk, Undo
from exchanges.simulator.faults.values import Fault

_MS, _SECOND_NS = 1_000_000, 1_000_000_000


class VenueFaults:
    """Carries out what is ordered for one exchange. Faults of one kind may overlap: the last one's end undoes them."""

    def __init__(self, faults: FaultDesk, exchange: SimulatedExchange) -> None:
        """Listen from now on."""
        self._faults = faults
        self._exchange = exchange
        self._held: Counter[tuple[FaultKind, object]] = Counter()
        self._drifts: list[int] = []
        for kind, begin in {
            FaultKind.CLOCK_DRIFT: self._drift,
            FaultKind.KEY_REVOKED: self._revoke,
            FaultKind.KEY_RIGHTS: self._limit_keys,
            FaultKind.HEDGE_MODE: self._hedge,
            FaultKind.MULTI_ASSET: self._multi_asset,
            FaultKind.DELISTING: self._delist,
            FaultKind.WITHDRAWAL_HALT: self._halt_networks,
            FaultKind.WRONG_NETWORK: self._mislabel_networks,
            FaultKind.WITHDRAWAL_FAILURE: self._give_up_networks,
            FaultKind.WITHDRAWAL_FEE: self._overcharge_networks,
            FaultKind.LIQUIDATION: self._liquidate,
            FaultKind.DELEVERAGING: self._deleverage,
        }.items():
            faults.on(kind, partial(self._begin, begin))

    def _begin(self, begin: Callable[[Fault], Undo | None], fault: Fault) -> Undo | None:
        return begin(fault) if fault.venue == self._exchange.venue else None

    # Clock and keys

    def _drift(self, fault: Fault) -> Undo:
        ahead_ns = round(fault.size * _MS)
        self._drifts.append(ahead_ns)
        self._set_clock()
        self._faults.note(fault)

        def undo() -> None:
            self._drifts.remove(ahead_ns)
            self._set_clock()

        return undo

    def _set_clock(self) -> None:
        self._exchange.drift_ns = sum(self._drifts)

    def _revoke(self, fault: Fault) -> Undo:
        self._faults.note(fault, self._exchange.keys)
        return self._hold(fault.fault, "", partial(self._set_revoked, True), partial(self._set_revoked, False))

    def _set_revoked(self, are_revoked: bool) -> None:
        self._exchange.are_keys_revoked = are_revoked

    # How accounts and keys are set up

    def _limit_keys(self, fault: Fault) -> Undo:
        bound, trade = fault.match != "unbound", fault.match != "read-only"
        return self._set_up(fault, may_withdraw=fault.match == "withdraw", is_ip_bound=bound, may_trade=trade)

    def _hedge(self, fault: Fault) -> Undo:
        return self._set_up(fault, is_hedge=True)

    def _multi_asset(self, fault: Fault) -> Undo:
        return self._set_up(fault, is_multi_asset=True)

    def _set_up(self, fault: Fault, **changes: bool) -> Undo:
        self._faults.note(fault, self._exchange.keys)
        setup = self._exchange.setup
        self._exchange.setup = replace(setup, **changes)

        def undo() -> None:
            self._exchange.setup = replace(self._exchange.setup, **{name: getattr(setup, name) for name in changes})

        return undo

    # Listings

    def _delist(self, fault: Fault) -> Undo:
        """No new risk at once; no book in the second half of the fault."""
        listings = self._listings(fault)
        self._faults.note(fault, len(listings))
        undos = [
            self._hold(fault.fault, one, partial(self._settle, one), partial(self._relist, one)) for one in listings
        ]

        def close(market_ns: int) -> None:
            for one in listings:
                self._exchange.close_book(one, market_ns)

        drop = self._exchange.agenda.at(self._in_market_ns(fault.lasts_s / 2), close)
        return partial(_all, drop, *undos)

    def _in_market_ns(self, delay_s: float) -> int:
        return self._exchange.market_ns(self._exchange.now_ns()) + round(delay_s * _SECOND_NS)

    def _settle(self, listing: int) -> None:
        self._exchange.set_status(listing, TradingStatus.SETTLING)

    def _relist(self, listing: int) -> None:
        self._exchange.open_book(listing)
        self._exchange.set_status(listing, TradingStatus.TRADING)

    def _listings(self, fault: Fault) -> list[int]:
        whole = ((index, one.instrument) for index, one in self._exchange.listings.items())
        return [index for index, one in whole if fault.is_for(one.venue, one.segment, one.symbol)]

    # Networks

    def _halt_networks(self, fault: Fault) -> Undo:
        exchange = self._exchange
        return self._at_networks(fault, exchange.suspend, exchange.resume)

    def _mislabel_networks(self, fault: Fault) -> Undo:
        exchange = self._exchange
        return self._at_networks(fault, exchange.mislabel, exchange.relabel)

    def _give_up_networks(self, fault: Fault) -> Undo:
        exchange = self._exchange
        return self._at_networks(fault, exchange.give_up, exchange.send_again)

    def _overcharge_networks(self, fault: Fault) -> Undo:
        more = Decimal(repr(fault.size))

        def begin(network: str) -> None:
            self._exchange.overcharge(network, more)

        def end(network: str) -> None:
            self._exchange.overcharge(network, Decimal(0))

        return self._at_networks(fault, begin, end)

    def _at_networks(self, fault: Fault, begin: Callable[[str], None], end: Callable[[str], None]) -> Undo:
        ids = sorted({one.id for one in self._exchange.rules.networks if fault.match in one.id})
        self._faults.note(fault, len(ids))
        return partial(_all, *(self._hold(fault.fault, one, partial(begin, one), partial(end, one)) for one in ids))

    # Positions

    def _liquidate(self, fault: Fault) -> None:
        self._force(fault, self._exchange.force_liquidation)

    def _deleverage(self, fault: Fault) -> None:
        self._force(fault, self._exchange.force_adl)

    def _force(self, fault: Fault, force: Callable[[int], int]) -> None:
        for listing in self._listings(fault):
            one = self._exchange.listings[listing].instrument
            where = (fault.fault, one.venue, one.segment, one.symbol)
            # Asked first: it may have struck as often as it was to.
            if one.is_perpetual and self._faults.peek(*where) and force(listing):
                self._faults.strike(*where)

    def _hold(self, kind: FaultKind, what: object, begin: Undo, end: Undo) -> Undo:
        """`begin` with the first of several faults that hold the same thing; `end` with the end of the last."""
        self._held[kind, what] += 1
        if self._held[kind, what] == 1:
            begin()

        def undo() -> None:
            self._held[kind, what] -= 1
            if not self._held[kind, what]:
                end()

        return undo


def _all(*actions: Callable[[], None]) -> None:
    for action in actions:
        action()
