"""The report for people: plain text with tables, no colour, no control byte of anybody's."""

import shutil
import textwrap
from collections.abc import Iterable, Sequence
from decimal import Decimal
from io import StringIO

from rich.console import Console
from rich.text import Text

from bot.text import inert
from postmortem.abandoned import abandoned_line
from postmortem.by_hand import hand_lines
from postmortem.figures import amounts_in_words, digits, moment, tally
from postmortem.model import MarketReport, PairLine, Report, ReturnLine, RunLine
from postmortem.shadow_table import shadow_lines, shadow_table
from postmortem.tables import bridge_table, instruments_table, net_edge_table, pairs_table, routes_table

_EXTREMES = 5
_RUNS = 10
_MIN_WIDTH = 80
_INDENT = " " * 12
"""Where what a line says begins, behind its name."""


def render_table(report: Report, width: int | None = None) -> str:
    """The report as text that ends in a line break.

    No line is longer than `width`; where it is short tables leave columns out, and none is cut in the middle. Amounts
    are rounded for reading (`--json` has every digit). `width` in characters; default: the terminal's.
    """
    if not report.markets and not report.by_hand:
        since = f" since {moment(report.since_ns)}" if report.since_ns is not None else ""
        return f"no runs recorded for {inert(report.strategy)}{since}\n"
    console = Console(
        file=StringIO(),
        width=width or max(_MIN_WIDTH, shutil.get_terminal_size((120, 24)).columns),
        color_system=None,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
    )
    with console.capture() as captured:
        for market in report.markets:
            _market(console, market)
        for shadow in report.shadow:
            for line in shadow_lines(shadow):
                _say(console, line)
            console.print(shadow_table(shadow))
        for hand in report.by_hand:
            for line in hand_lines(hand):
                _say(console, line)
        _closing_line(console, report)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _closing_line(console: Console, report: Report) -> None:
    if len(report.markets) > 1:
        _say(console, "Figures of different markets are never added.")
    if report.residual:
        _say(console, f"ALARM: the bridges leave {report.residual:f} unexplained: a bug of this program")


def _market(console: Console, market: MarketReport) -> None:
    money = "REAL MONEY" if market.real_money else "no real money"
    console.rule(Text(f"{inert(market.market).upper()} market, {money}"), characters="═")
    _runs(console, market.runs)
    _counts(console, market)
    for line in market.money:
        console.print(bridge_table(line))
        if line.pairs:
            console.print(net_edge_table(line))
    for returned in market.returns:
        _say(console, _returned(returned))
    _facts(console, market)
    if market.routes:
        console.print(routes_table(market.routes, console.width))
    if market.instruments:
        console.print(instruments_table(market.instruments, console.width))
    _extremes(console, market.pairs)
    if market.open_pairs:
        title = "Open pairs: unrealised at the last mids, before exit costs; in no figure above"
        console.print(pairs_table(title, market.open_pairs, "unrealised", console.width))
    for given_up in market.abandoned:
        _say(console, abandoned_line(given_up))
    console.print()


def _runs(console: Console, runs: Sequence[RunLine]) -> None:
    hidden = len(runs) - _RUNS
    if hidden > 0:
        _say(console, f"runs        {len(runs)}; the newest {_RUNS}, and those with problems:")
    for at, run in enumerate(runs):
        if at >= hidden or run.problems:
            end = moment(run.market_ended_ns) if run.market_ended_ns is not None else "?"
            _say(console, f"run         {run.run_id}  market of {moment(run.market_started_ns)} to {end}")
            for problem in run.problems:
                _say(console, f"            ! {problem}")


def _counts(console: Console, market: MarketReport) -> None:
    rate = "" if market.win_rate is None else f", won {market.wins} of {market.realised} ({market.win_rate:.0%})"
    still = f", still open {len(market.open_pairs)}" if market.open_pairs else ""
    still += f", abandoned {len(market.abandoned)}" if market.abandoned else ""
    _say(console, f"attempts    {market.attempts}, missed {market.missed}{rate}{still}")
    _say(console, f"profit      {amounts_in_words(market.profit) or 'nothing'}   (realised, net of fees and funding)")


def _returned(line: ReturnLine) -> str:
    """One line: what the money that was held returned, and how far it fell on the way."""
    asset = inert(line.quote_asset)
    words = f"returns     locked at most {digits(line.peak_locked, 2)} {asset} (without leverage)"
    if line.return_ratio is not None:
        words += f", returned {line.return_ratio:.4%}"
    if line.return_per_year is not None:
        words += f", {line.return_per_year:.2%} a year of what was locked on average"
    return f"{words}; drawdown {digits(line.max_drawdown, 4)} {asset}"


def _facts(console: Console, market: MarketReport) -> None:
    lines = {
        "fees paid": amounts_in_words(market.fees),
        "funding": amounts_in_words(market.funding),
        "no pair's": amounts_in_words(market.funding_of_no_pair),
        "token fees": _token_fees(market),
        "unvalued": _unvalued_words(market.pairs),
        "fee rates": "; ".join(market.fee_sources),
        "ASSUMED": "; ".join(market.assumed),
        "refused": tally(market.refusals),
        "closed by": tally(market.closes),
        "orders": tally(market.orders),
    }
    for name, text in lines.items():
        if text:
            _say(console, f"{name:<11} {text}")


def _extremes(console: Console, pairs: Sequence[PairLine]) -> None:
    if len(pairs) <= 2 * _EXTREMES:
        if pairs:
            console.print(pairs_table("Realised pairs, best first", pairs, "profit", console.width))
        return
    console.print(pairs_table(f"Best {_EXTREMES} pairs", pairs[:_EXTREMES], "profit", console.width))
    console.print(pairs_table(f"Worst {_EXTREMES} pairs", pairs[: -_EXTREMES - 1 : -1], "profit", console.width))


def _token_fees(market: MarketReport) -> str:
    """How fees in a venue's token got into the figures in quote units; empty where none did."""
    worth = {line.quote_asset: line.bridge.token_fees for line in market.money if line.bridge.token_fees}
    if not worth:
        return ""
    return f"counted as {amounts_in_words(worth)}: notional times the fee rates below, discount for the token taken off"


def _unvalued_words(pairs: Iterable[PairLine]) -> str:
    left = amounts_in_words(_unvalued(pairs))
    return f"{left}   (nothing tells its worth: in no figure in another currency)" if left else ""


def _unvalued(pairs: Iterable[PairLine]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for line in pairs:
        for asset, amount in line.unvalued.items():
            sums[asset] = sums.get(asset, Decimal(0)) + amount
    return sums


def _say(console: Console, text: str) -> None:
    lines = textwrap.wrap(
        inert(text), console.width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False,
        replace_whitespace=False, drop_whitespace=True,
    )  # fmt: skip
    for line in lines:
        console.print(Text(line), soft_wrap=True)
