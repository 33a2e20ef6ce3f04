"""What a person reads of a run: before its first decision, and when it is over."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed
from bot.domain.money import money_words
from bot.domain.shadow import ShadowStatus
from bot.engine.engine import Engine, RunInfo
from bot.engine.snapshot import headline
from bot.engine.terms.untold import networks_untold


def opening_lines(
    engine: Engine,
    info: RunInfo,
    fees: Mapping[Feed, FeeSchedule],
    funding: Mapping[Feed, float],
    notes: Sequence[str],
) -> list[str]:
    """What a person should know before the first decision.

    Args:
        engine: Before it starts.
        info: Names the run.
        fees: By feed, as they are traded with.
        funding: By feed, bps per 8 h, where it is assumed.
        notes: What else there is to know, a line each.
    """
    lines = [
        f"run {info.run_id}: {info.strategy} on the {info.market} market, {money_words(info.market, info.real_money)}"
    ]
    for feed, schedule in fees.items():
        lines.append(f"{feed}: taker {schedule.taker_bps} bps, maker {schedule.maker_bps} bps ({schedule.words})")
    for slot in engine.slots:
        if slot.fees is None:
            lines.append(f"{slot.instrument.feed}: no fees known, its routes are refused")
    for feed, bps in funding.items():
        lines.append(f"{feed}: funding {bps} bps per 8 h ASSUMED until the venue tells it")
    needed = f"{engine.settings.risk.maintenance_margin_ratio:g} of the notional"
    for feed in engine.desk.portfolio.margins.assumed():
        lines.append(f"{feed}: maintenance margin {needed} ASSUMED, no venue tells it")
    lines += networks_untold((state.route for state in engine.routes), engine.terms, info.market)
    lines += notes
    lines.append(f"{len(engine.routes)} routes over {len(engine.slots)} instruments")
    return lines


def summary_lines(summary: Mapping[str, Any], engine: Engine) -> list[str]:
    """A run's summary for a person."""
    decisions = summary["decisions"]
    unit = money_words(summary["market"], summary["real_money"])
    refused = ", ".join(f"{reason} {count}" for reason, count in decisions["refused"].items()) or "none"
    return [
        f"{summary['market'].upper()} market, {unit}: {'complete' if summary['complete'] else 'INCOMPLETE'}",
        *([summary["halted"]] if summary["halted"] else []),
        *(f"  {reason}" for reason in summary["incomplete_because"]),
        "quotes      " + ", ".join(f"{feed} {count}" for feed, count in summary["quotes"].items()),
        *_unusable("quotes refused", summary["quotes_refused"]),
        *_unusable("malformed frames", summary["malformed"]),
        f"decisions   taken {decisions['taken']}, refused: {refused}",
        f"orders      {summary['orders']}, fills {summary['fills']}, open pairs {summary['open_pairs']}",
        f"realised    {_amounts(summary['pnl'])}",
        f"unrealised  {_amounts(summary['unrealised'])} (closing at the quotes, exit fees in)",
        f"break-even  {headline(engine)}",
        *_shadowed(summary.get("shadow")),
        *_compared(summary["calm_comparison"]),
    ]


def _unusable(title: str, counts: Mapping[str, int]) -> list[str]:
    """One line, and none where nothing was unusable."""
    named = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    return [f"            {title}: {named}"] if named else []


def _shadowed(told: Mapping[str, Any] | None) -> list[str]:
    """A line on the real orders beside the paper ones, and one on why some pairs had none."""
    if told is None:
        return []
    status = ShadowStatus.model_validate(told)
    refused = ", ".join(f"{why} {count}" for why, count in status.not_shadowed.items())
    return [f"shadow      {status.line}", *([f"            not shadowed: {refused}"] if refused else [])]


def _compared(told: Mapping[str, Any] | None) -> list[str]:
    """One line, and none where nothing was compared."""
    return [] if told is None else [f"calm        {told['line']}"]


def _amounts(amounts: Mapping[str, str]) -> str:
    return ", ".join(f"{Decimal(amount):+.4f} {asset}" for asset, amount in amounts.items()) or "nothing"
