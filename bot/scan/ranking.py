"""Every route between what is scanned, priced at the newest quotes, and the order that they come in.

    edge      what is offered at the top of the books less every cost, if the two prices meet at the exit
    carry     the same with funding over `scan.holding_days`, and over that time's part of a year: annualised
    funding   what the perpetuals pay a day, received less paid

All three are made by the pricing function of the bot. What is not known is not priced with: a figure that needs it is
None, and None is not ranked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.command_options import Sort
from bot.domain.instrument import Feed, Instrument
from bot.domain.legs import HoldLeg, Leg, TransferLeg
from bot.domain.route import Cost, Route
from bot.pricing.capital import YEAR_S
from bot.pricing.conversion import conversion
from bot.pricing.costs import needs_conversion
from bot.pricing.inputs import Conversion, PricingInputs, PricingRules, instrument_input
from bot.pricing.pricing import cost_sheet, gross_edge_bps
from bot.pricing.sheet import CostSheet
from bot.scan.views import READABLE, ScanSink, ScanView
from bot.settings.look import ScanSettings

_DAY_S = 86_400.0
BEFORE_REBALANCING = "before the transfer back"
ListRoutes = Callable[[Sequence[Instrument]], Iterable[Route]]


@dataclass(frozen=True, slots=True)
class ScanRow:
    """One route now. Figures are None where something that they need is not known or not there."""

    kind: str
    buy: str
    sell: str
    buy_price: float | None
    """The ask of what is bought, in its own currency; `sell_price` the bid of what is sold."""
    sell_price: float | None
    top_notional: float | None
    """What both tops take, in the currency of what is bought."""
    gross_bps: float | None
    needed_bps: float | None
    net_bps: float | None
    carry_per_year: float | None
    """Part of the notional; None for what holds nothing."""
    funding_bps_per_day: float | None
    """Received; None for what holds no perpetual."""
    sheet: CostSheet | None
    """What the edge costs; None where not all is known."""
    status: str
    """Why it is compared with nothing, in words; empty: it is."""
    unknown: tuple[str, ...]
    """What nobody told."""
    notes: tuple[str, ...]
    age_s: float | None
    """Of the older quote."""

    @property
    def costs(self) -> tuple[Cost, ...]:
        """Of the edge, by name; empty where not all is known."""
        return () if self.sheet is None or self.gross_bps is None else self.sheet.costs(self.gross_bps)

    def figure(self, sort: Sort) -> float | None:
        """What it is ranked by; None: it is not."""
        by = {"edge": self.net_bps, "carry": self.carry_per_year, "funding": self.funding_bps_per_day}
        return None if self.status else by[sort]


@dataclass(frozen=True, slots=True)
class ScanRoute:
    """A route, and the same held for long."""

    edge: Route
    carry: Route
    notes: tuple[str, ...]


def scan_routes(
    instruments: Sequence[Instrument], list_routes: ListRoutes, settings: ScanSettings, *, shares_rebalancing: bool
) -> list[ScanRoute]:
    """Every pair route of a coin that at least two venues list.

    Args:
        instruments: Everything that the feeds list.
        list_routes: What makes routes of instruments.
        settings: How long is held.
        shares_rebalancing: Whether the settings assume what bringing the stocks back costs; elsewhere that is left out
            and noted: networks are told to accounts alone.
    """
    by_base: dict[str, list[Instrument]] = {}
    for one in instruments:
        by_base.setdefault(one.base, []).append(one)
    found = []
    for listed in by_base.values():
        routes = [route for route in list_routes(listed) if not route.chain]
        if any(route.buy.venue != route.sell.venue for route in routes):
            found += [_scan_route(route, settings, shares_rebalancing) for route in routes]
    return found


def _scan_route(route: Route, settings: ScanSettings, shares_rebalancing: bool) -> ScanRoute:
    notes: tuple[str, ...] = ()
    if route.transfers and not shares_rebalancing:
        legs = tuple(leg for leg in route.legs if not isinstance(leg, TransferLeg))
        route = Route(kind=route.kind, legs=legs)
        notes = (BEFORE_REBALANCING,)
    long = HoldLeg(expected_s=settings.holding_days * _DAY_S)
    held: tuple[Leg, ...] = tuple(long if isinstance(leg, HoldLeg) else leg for leg in route.legs)
    return ScanRoute(route, Route(kind=route.kind, legs=held), notes)


def needed_instruments(routes: Iterable[ScanRoute], instruments: Iterable[Instrument]) -> list[Instrument]:
    """What has to be read: what the routes trade, and markets that tell what one of their currencies is in another."""
    traded = {one.id: one for route in routes for one in route.edge.instruments}
    currencies = {one.quote for one in traded.values()}
    turning = {
        one.id: one
        for one in instruments
        if not one.is_perpetual and one.base in currencies and one.quote in currencies
    }
    return list((traded | turning).values())


class Ranking:
    """Prices the routes of a scan again and again."""

    def __init__(
        self, routes: Sequence[ScanRoute], sink: ScanSink, settings: ScanSettings, rules: PricingRules
    ) -> None:
        """Price `routes` at the quotes of `sink`.

        Args:
            routes: Of `scan_routes`.
            sink: Has a view of all that they trade.
            settings: What is stale, and what is suspect.
            rules: What the settings choose about costs; statistics are of the moment, and latency is not charged.
        """
        self._routes = routes
        self._sink = sink
        self._settings = settings
        self._rules = replace(rules, converged=True, warmup_s=0.0, adverse_moves=False)
        self._turning = [
            view
            for view in sink.views
            if not view.instrument.is_perpetual
            and view.instrument.base
            in (currencies := {one.quote for route in routes for one in route.edge.instruments})
            and view.instrument.quote in currencies
        ]

    def rows(self, now_ns: int) -> list[ScanRow]:
        """Every route at the newest quotes, in no order."""
        rates: dict[tuple[str, str], Conversion | None] = {}
        return [self._row(route, rates, now_ns) for route in self._routes]

    def _row(self, route: ScanRoute, rates: dict[tuple[str, str], Conversion | None], now_ns: int) -> ScanRow:
        edge = route.edge
        buy, sell = self._sink.by_id[edge.buy.id], self._sink.by_id[edge.sell.id]
        turned: Conversion | None = None
        status = self._away(buy, now_ns) or self._away(sell, now_ns)
        if needs_conversion(edge):
            turned = self._turned(edge.sell.quote, edge.buy.quote, rates, now_ns)
            if turned is None and not status:
                status = f"cannot be compared: no price of {edge.sell.quote} in {edge.buy.quote}"
        if not status:
            status = self._suspicion(buy, sell, turned)
        unknown = tuple(_unknown((buy, sell)))
        prices = None if buy.quote is None or sell.quote is None else (buy.quote.ask_price, sell.quote.bid_price)
        comparable = prices is not None and (turned is not None or not needs_conversion(edge))
        rate = 1.0 if turned is None else turned.rate
        gross = gross_edge_bps(prices[0], prices[1] * rate) if prices is not None and comparable else None
        sheet = self._sheet(edge, (buy, sell), turned, now_ns) if comparable else None
        held = self._sheet(route.carry, (buy, sell), turned, now_ns) if comparable and route.carry.hold_s else None
        return ScanRow(
            kind=edge.kind,
            buy=edge.buy.id,
            sell=edge.sell.id,
            buy_price=None if prices is None else prices[0],
            sell_price=None if prices is None else prices[1],
            top_notional=_top_notional(buy, sell),
            gross_bps=gross,
            needed_bps=None if sheet is None else sheet.needed_bps,
            net_bps=None if sheet is None or gross is None else sheet.net_bps(gross),
            carry_per_year=_per_year(held, gross, route.carry.hold_s),
            funding_bps_per_day=_funding_per_day(edge, self._sink.by_id),
            sheet=sheet,
            status=status,
            unknown=unknown,
            notes=route.notes,
            age_s=None if prices is None else (now_ns - min(buy.recv_ns, sell.recv_ns)) / 1e9,
        )

    def _away(self, view: ScanView, now_ns: int) -> str:
        feed = view.instrument.feed
        state, detail = self._sink.states.get(feed, (None, ""))
        if state is not None and state not in READABLE:
            return f"{feed} {state.value}{': ' + detail if detail else ''}"
        if view.quote is None:
            return f"no quote of {view.instrument.id}"
        age_s = (now_ns - view.recv_ns) / 1e9
        return f"stale: {view.instrument.id} quoted {age_s:.0f} s ago" if age_s > self._settings.max_age_s else ""

    def _turned(
        self, there: str, here: str, rates: dict[tuple[str, str], Conversion | None], now_ns: int
    ) -> Conversion | None:
        if (there, here) not in rates:
            fresh = [view for view in self._turning if not self._away(view, now_ns)]
            rates[there, here] = conversion(there, here, fresh)
        return rates[there, here]

    def _suspicion(self, buy: ScanView, sell: ScanView, turned: Conversion | None) -> str:
        assert buy.quote is not None
        assert sell.quote is not None
        ratio = sell.quote.mid * (1.0 if turned is None else turned.rate) / buy.quote.mid
        apart_pct = (max(ratio, 1.0 / ratio) - 1.0) * 100.0
        if apart_pct <= self._settings.suspect_pct:
            return ""
        return f"SUSPECT: prices are {apart_pct:,.1f} % apart, another coin or a halted one"

    def _sheet(
        self, route: Route, views: Sequence[ScanView], turned: Conversion | None, now_ns: int
    ) -> CostSheet | None:
        inputs = PricingInputs(
            {view.instrument.id: instrument_input(view, now_ns) for view in views}, conversion=turned, rules=self._rules
        )
        sheet = cost_sheet(route, inputs)
        return sheet if isinstance(sheet, CostSheet) else None


def ranked(rows: Iterable[ScanRow], sort: Sort) -> tuple[list[ScanRow], list[ScanRow]]:
    """The better direction of every pair, best first; and those without a figure to rank by."""
    best: dict[tuple[str, frozenset[str]], ScanRow] = {}
    for row in rows:
        key = (row.kind, frozenset((row.buy, row.sell)))
        before = best.get(key)
        if before is None or _better(row.figure(sort), before.figure(sort)):
            best[key] = row
    with_figure = [row for row in best.values() if row.figure(sort) is not None]
    with_figure.sort(key=lambda row: (-(row.figure(sort) or 0.0), row.buy, row.sell))
    without = sorted((row for row in best.values() if row.figure(sort) is None), key=_trouble)
    return with_figure, without


def feeds_of(routes: Iterable[ScanRoute]) -> list[Feed]:
    """The feeds that routes trade on."""
    return list(dict.fromkeys(one.feed for route in routes for one in route.edge.instruments))


def _better(one: float | None, other: float | None) -> bool:
    return one is not None and (other is None or one > other)


def _trouble(row: ScanRow) -> tuple[bool, str, str, str]:
    # What may be another coin first: a person has to know.
    return (not row.status.startswith("SUSPECT"), row.status, row.buy, row.sell)


def _unknown(views: Iterable[ScanView]) -> Iterable[str]:
    for view in views:
        if view.fees is None:
            yield f"fees of {view.instrument.feed}"
        if view.instrument.is_perpetual and view.funding_terms is None and view.funding_bps_per_h is None:
            yield f"funding of {view.instrument.id}"


def _top_notional(buy: ScanView, sell: ScanView) -> float | None:
    if buy.quote is None or sell.quote is None:
        return None
    there = buy.instrument.to_base(buy.quote.ask_qty, buy.quote.ask_price)
    here = sell.instrument.to_base(sell.quote.bid_qty, sell.quote.bid_price)
    return min(there, here) * buy.quote.ask_price


def _per_year(sheet: CostSheet | None, gross: float | None, held_s: float) -> float | None:
    return None if sheet is None or gross is None else sheet.net_bps(gross) / 1e4 * YEAR_S / held_s


def _funding_per_day(route: Route, views: Mapping[str, ScanView]) -> float | None:
    """What is received a day at the rates of now, bps of the notional; None where a rate is not known."""
    legs = [leg for leg in route.opening if leg.instrument.is_perpetual]
    total = 0.0
    for leg in legs:
        view = views[leg.instrument.id]
        if view.funding_terms is not None:
            per_day = view.funding_terms.bounded_rate * 1e4 * _DAY_S / view.funding_terms.interval_s
        elif view.funding_bps_per_h is not None:
            per_day = view.funding_bps_per_h * 24.0
        else:
            return None
        total -= leg.side.sign * per_day
    return total if legs else None
