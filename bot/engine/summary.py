"""What a run came to: the one JSON object that programs read, and the end record of the journal."""

from collections import Counter
from decimal import Decimal
from typing import Any

from bot.engine.engine import Engine
from bot.engine.halt_words import causes_by_name, halt_words

SCHEMA_VERSION = 1


def run_summary(
    engine: Engine,
    *,
    complete: bool,
    incomplete_because: tuple[str, ...] = (),
    calm_comparison: dict[str, Any] | None = None,
    is_halt_kept: bool = False,
) -> dict[str, Any]:
    """The run in plain data.

    Args:
        engine: Stopped or running; the figures are of this moment.
        complete: Whether everything that should have been read was.
        incomplete_because: Why not, a line each.
        calm_comparison: What the same time of a calm day earns (`Comparison.told`); None where nothing is compared.
        is_halt_kept: Whether a halt holds after a restart too.

    Returns:
        `quotes` counts every top of book received, refused ones included; `pnl` is realised, per asset, net of fees
        and funding; `dust` is what pairs left that no venue takes as an order, base units
        by instrument; `unrealised` is what the open pairs would have earned if they were closed now.
    """
    run = engine.run
    desk = engine.desk
    engine.look()
    refused: Counter[str] = Counter()
    quotes: Counter[str] = Counter()
    for slot in engine.slots:
        quotes[str(slot.instrument.feed)] += slot.received
        refused.update(slot.refused_counts)
    quote_assets = {slot.instrument.quote for state in engine.routes for slot in (state.buy, state.sell)}
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.run_id,
        "strategy": run.strategy,
        "market": run.market,
        "real_money": run.real_money,
        "complete": complete,
        "incomplete_because": list(incomplete_because),
        "state": desk.gate.state.value,
        "halted": halt_words(desk.gate, is_kept=is_halt_kept) or None,
        "reducing": causes_by_name(desk.gate),
        "quotes": dict(quotes),
        "quotes_refused": {str(reason): count for reason, count in refused.items()},
        "malformed": {str(feed): health.malformed for feed, health in engine.feeds.items()},
        "opportunities": engine.decider.opportunities,
        "decisions": {
            "taken": engine.decisions.taken,
            "refused": dict(engine.decisions.refused),
            "closed": dict(engine.decisions.closed),
        },
        "orders": desk.orders,
        "fills": desk.fills,
        "pnl": _amounts(desk.ledger.realised(), quote_assets),
        "unrealised": _amounts(desk.unrealised(), quote_assets),
        "open_pairs": desk.portfolio.open_pairs(),
        "dust": _amounts(dict(desk.executor.dust.amounts), set()),
        "funding_unallocated": _amounts(desk.ledger.unallocated_funding(), set()),
        "routes": [
            {
                "route": state.route.id,
                "needed_bps": state.watch.needed_bps,
                "best_gross_bps": state.watch.best_gross_bps,
                "assumed": state.watch.assumed,
            }
            for state in engine.routes
        ],
        "calm_comparison": calm_comparison,
        "decision_digest": engine.decisions.digest,
    }


def _amounts(amounts: dict[str, Decimal], always: set[str]) -> dict[str, str]:
    """By asset as plain decimal strings; the assets in `always` are named even at zero."""
    shown = {asset: Decimal(0) for asset in sorted(always)} | amounts
    return {asset: f"{_short(amount):f}" for asset, amount in shown.items()}


def _short(amount: Decimal) -> Decimal:
    """Without the zeros that exact sums collect at the end."""
    return amount.normalize() if amount else Decimal(0)
