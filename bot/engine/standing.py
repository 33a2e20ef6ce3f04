"""What is open, and how much of the gate's caps it uses: for the snapshot."""

from collections.abc import Iterator
from math import isfinite

from bot.domain.snapshot import LimitRow, PairRow
from bot.engine.engine import Engine
from bot.execution.chain import Chain
from bot.execution.pair import Pair
from bot.execution.unhedged import Unhedged


def pair_rows(engine: Engine) -> tuple[PairRow, ...]:
    """Every pair that is not flat, and every chain that is not home."""
    executor = engine.desk.executor
    unhedged = {found.pair_id: found for found in executor.unhedged()}
    pairs = [_pair_row(pair, unhedged.get(pair.id)) for pair in executor.pairs.values()]
    away = {found.pair_id: found for found in engine.desk.chains.unhedged()}
    return (*pairs, *(_chain_row(chain, away.get(chain.id)) for chain in engine.desk.chains.chains.values()))


def limit_rows(engine: Engine, now_ns: int) -> tuple[LimitRow, ...]:
    """The caps that holdings, orders and results fill up, each with what it has of it."""
    return tuple(_limit_rows(engine, now_ns))


def _pair_row(pair: Pair, unhedged: Unhedged | None) -> PairRow:
    return PairRow(
        pair=pair.id,
        route=pair.opportunity.route.id,
        state=pair.state.value,
        opened_ns=pair.opened_ns,
        quantity=f"{pair.opportunity.quantity:f}",
        bought=f"{pair.buy.held:f}",
        sold=f"{pair.sell.held:f}",
        net_bps=pair.opportunity.net_edge_bps,
        unhedged_s=None if unhedged is None else unhedged.seconds,
        unhedged_notional=None if unhedged is None else unhedged.notional,
    )


def _chain_row(chain: Chain, away: Unhedged | None) -> PairRow:
    """A chain where a pair would stand: what is bought and sold last says where its amount is."""
    held = ", ".join(f"{amount:f} {asset}" for (_, asset), amount in chain.holdings.items())
    return PairRow(
        pair=chain.id,
        route=chain.route.id,
        state=chain.words(),
        opened_ns=chain.opened_ns,
        quantity=f"{chain.opportunity.quantity:f}",
        bought=held or "0",
        sold="",
        net_bps=chain.opportunity.net_edge_bps,
        unhedged_s=None if away is None else away.seconds,
        unhedged_notional=None if away is None else away.notional,
    )


def _margin_rows(engine: Engine) -> Iterator[LimitRow]:
    """Of every wallet that carries something; a figure that cannot be told is left out, and the limits refuse."""
    margins, risk = engine.desk.portfolio.margins, engine.settings.risk
    for now in margins.now():
        if not margins.held_in(now.wallet):
            continue
        rests_on = f"maintenance margin: {now.source}"
        if isfinite(now.ratio):
            limit, unit = f"margin_ratio {now.wallet}", f"of equity ({rests_on})"
            yield LimitRow(limit=limit, observed=now.ratio, allowed=risk.max_margin_ratio, unit=unit)
        if isfinite(now.distance_bps):
            limit, unit = f"liquidation_distance {now.wallet}", f"bps, at least ({rests_on})"
            yield LimitRow(limit=limit, observed=now.distance_bps, allowed=risk.opening_distance_bps, unit=unit)


def _limit_rows(engine: Engine, now_ns: int) -> Iterator[LimitRow]:
    risk, portfolio = engine.settings.risk, engine.desk.portfolio
    instruments = [slot.instrument for slot in engine.slots]

    def row(limit: str, observed: float, allowed: float, unit: str) -> LimitRow:
        return LimitRow(limit=limit, observed=observed, allowed=float(allowed), unit=unit)

    yield row("in_flight_notional", portfolio.in_flight_notional(), risk.max_in_flight_notional, "quote units")
    yield row("open_pairs", portfolio.open_pairs(), risk.max_open_pairs, "pairs")
    for venue in dict.fromkeys(one.venue for one in instruments):
        yield row(f"venue_notional {venue}", portfolio.venue_notional(venue), risk.max_venue_notional, "quote units")
    for base in dict.fromkeys(one.base for one in instruments):
        held, exposed = portfolio.asset_notional(base), portfolio.net_exposure_notional(base)
        yield row(f"asset_notional {base}", held, risk.max_asset_notional, "quote units")
        yield row(f"net_exposure {base}", exposed, risk.max_net_exposure_notional, "quote units")
    yield row("orders_per_second", portfolio.orders_last_second(now_ns), risk.max_orders_per_second, "orders")
    yield row("orders_per_minute", portfolio.orders_last_minute(now_ns), risk.max_orders_per_minute, "orders")
    yield row("daily_loss", max(0.0, -portfolio.realised_today(now_ns)), risk.max_daily_loss, "quote units")
    yield row("cumulative_loss", max(0.0, -portfolio.realised_total()), risk.max_cumulative_loss, "quote units")
    yield from _margin_rows(engine)
    drift, pairs = portfolio.drift()
    if pairs and isfinite(drift):
        yield row("drift", drift, risk.max_drift_bps, "bps")
