"""The report for people: plain text with tables, no colour, no control byte of anybody's."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from io import StringIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.text import inert
from postmortem.by_hand import hand_lines
from postmortem.exact import plain
from postmortem.model import InstrumentLine, MarketReport, MoneyLine, PairLine, Report, ReturnLine, RouteLine, RunLine
from postmortem.shadow_table import shadow_lines, shadow_table

_SHOWN = Context(prec=40, rounding=ROUND_HALF_EVEN)
_EXTREMES = 5
_ROUTES = 20
_RUNS = 10
_MIN_WIDTH = 100
_ID_SHOWN = 12


def render_table(report: Report, width: int | None = None) -> str:
    """The report as text that ends in a line break.

    Amounts are rounded for reading (`--json` has every digit). `width` in characters; default: the terminal's.
    """
    if not report.markets and not report.by_hand:
        since = f" since {_time(report.since_ns)}" if report.since_ns is not None else ""
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
        console.print(_bridge(line))
    for returned in market.returns:
        _say(console, _returned(returned))
    _facts(console, market)
    if market.routes:
        console.print(_routes(market.routes))
    if market.instruments:
        console.print(_instruments(market.instruments))
    _extremes(console, market.pairs)
    if market.open_pairs:
        title = "Open pairs: unrealised at the last mids, before exit costs; in no figure above"
        console.print(_pairs(title, market.open_pairs, "unrealised"))
    console.print()


def _runs(console: Console, runs: Sequence[RunLine]) -> None:
    hidden = len(runs) - _RUNS
    if hidden > 0:
        _say(console, f"runs        {len(runs)}; the newest {_RUNS}, and those with problems:")
    for at, run in enumerate(runs):
        if at >= hidden or run.problems:
            end = _time(run.market_ended_ns) if run.market_ended_ns is not None else "?"
            _say(console, f"run         {run.run_id}  market of {_time(run.market_started_ns)} to {end}")
            for problem in run.problems:
                _say(console, f"            ! {problem}")


def _counts(console: Console, market: MarketReport) -> None:
    rate = "" if market.win_rate is None else f", won {market.wins} of {market.realised} ({market.win_rate:.0%})"
    still = f", still open {len(market.open_pairs)}" if market.open_pairs else ""
    _say(console, f"attempts    {market.attempts}, missed {market.missed}{rate}{still}")
    _say(console, f"profit      {_amounts(market.profit) or 'nothing'}   (realised, net of fees and funding)")


def _returned(line: ReturnLine) -> str:
    """One line: what the money that was held returned, and how far it fell on the way."""
    asset = inert(line.quote_asset)
    words = f"returns     locked at most {_digits(line.peak_locked, 2)} {asset} (without leverage)"
    if line.return_ratio is not None:
        words += f", returned {line.return_ratio:.4%}"
    if line.return_per_year is not None:
        words += f", {line.return_per_year:.2%} a year of what was locked on average"
    return f"{words}; drawdown {_digits(line.max_drawdown, 4)} {asset}"


def _facts(console: Console, market: MarketReport) -> None:
    lines = {
        "fees paid": _amounts(market.fees),
        "funding": _amounts(market.funding),
        "no pair's": _amounts(market.funding_of_no_pair),
        "token fees": _token_fees(market),
        "unvalued": _unvalued_words(market.pairs),
        "fee rates": "; ".join(market.fee_sources),
        "ASSUMED": "; ".join(market.assumed),
        "refused": _tally(market.refusals),
        "closed by": _tally(market.closes),
        "orders": _tally(market.orders),
    }
    for name, text in lines.items():
        if text:
            _say(console, f"{name:<11} {text}")


def _bridge(line: MoneyLine) -> Table:
    """From what was expected to what came of it; costs with a minus, so that the column adds up."""
    bridge = line.bridge
    quote = inert(line.quote_asset)
    title = f"{line.pairs} realised pairs, in {quote}; rests of base at the last mark"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("")
    table.add_column(quote, justify="right")
    table.add_column("bps of notional", justify="right")
    parts = {
        "gross edge expected": bridge.expected_gross,
        "slippage, opening": -bridge.slippage_opening,
        "slippage, closing": -bridge.slippage_closing,
        "slippage, hedging": -bridge.slippage_hedging,
        "drift before retries and hedges": -bridge.drift,
        "gross edge realised": bridge.realised_gross,
        "fees": -bridge.fees,
        **({"fees in tokens, as the schedule charges": -bridge.token_fees} if bridge.token_fees else {}),
        "transfers": -bridge.transfers,
        "funding": bridge.funding,
        "revaluation of rests": bridge.revaluation,
        "profit": bridge.profit,
    }
    for name, amount in parts.items():
        bold = name in ("gross edge realised", "profit")
        table.add_row(
            Text(("= " if bold else "  ") + name), _money(amount), _bps(amount, line.notional), end_section=bold
        )
    if line.open_pairs:
        words = f"  unrealised at mids, {line.open_pairs} open pairs (apart)"
        table.add_row(Text(words), _money(line.unrealised), Text("-"))
    return table


def _routes(routes: Sequence[RouteLine]) -> Table:
    more = f" (first {_ROUTES} of {len(routes)})" if len(routes) > _ROUTES else ""
    table = Table(box=box.SIMPLE_HEAD, title=f"Routes{more}", title_justify="left")
    table.add_column("route", overflow="fold", ratio=2)
    for name in ("attempts", "missed", "won", "profit", "best at a decision", "needed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("refused", overflow="fold", ratio=1)
    for line in routes[:_ROUTES]:
        table.add_row(
            Text(inert(line.route)),
            Text(str(line.attempts)),
            Text(str(line.missed)),
            Text(f"{line.wins}/{line.realised}" if line.realised else "-"),
            _money(line.profit) if line.realised else Text("-"),
            _float(line.best_gross_bps),
            _float(line.needed_bps),
            Text(_tally(line.refusals) or "-"),
        )
    return table


def _instruments(lines: Sequence[InstrumentLine]) -> Table:
    """What each venue's account has of the realised pairs."""
    table = Table(box=box.SIMPLE_HEAD, title="Traded, by venue (realised pairs)", title_justify="left")
    table.add_column("instrument", overflow="fold", ratio=1)
    for name in ("fills", "bought", "at", "sold", "at"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("fees", "funding", "cash there"):
        table.add_column(name, justify="right", overflow="fold")
    for line in lines:
        table.add_row(
            Text(inert(line.instrument)),
            Text(str(line.fills)),
            Text(plain(line.bought)),
            Text("-" if line.average_buy_price is None else _digits(line.average_buy_price, 4)),
            Text(plain(line.sold)),
            Text("-" if line.average_sell_price is None else _digits(line.average_sell_price, 4)),
            Text(_amounts(line.fees)),
            Text(_amounts(line.funding)),
            Text(_amounts(line.by_asset)),
        )
    return table


def _extremes(console: Console, pairs: Sequence[PairLine]) -> None:
    if len(pairs) <= 2 * _EXTREMES:
        if pairs:
            console.print(_pairs("Realised pairs, best first", pairs, "profit"))
        return
    console.print(_pairs(f"Best {_EXTREMES} pairs", pairs[:_EXTREMES], "profit"))
    console.print(_pairs(f"Worst {_EXTREMES} pairs", pairs[: -_EXTREMES - 1 : -1], "profit"))


def _pairs(title: str, pairs: Sequence[PairLine], profit: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, collapse_padding=True)
    table.add_column("pair", no_wrap=True)
    table.add_column("opened", no_wrap=True)
    table.add_column("ended", overflow="fold", min_width=9)
    for name in ("edge exp.", "edge real.", "slippage", "fees", "funding", profit, "bps"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in pairs:
        bridge = line.bridge
        table.add_row(
            Text(_tail(inert(line.pair))),
            Text(_time(line.ts_open_ns)[5:]),  # the year stands with the run
            Text(inert(line.close_reason or line.state)),
            _float(line.edge_expected_bps),
            _float(None if line.edge_realised_bps is None else float(line.edge_realised_bps)),
            _money(bridge.expected_gross - bridge.realised_gross),
            _money(bridge.fees + bridge.token_fees),
            _money(bridge.funding),
            _money(bridge.profit),
            _float(None if line.profit_bps is None else float(line.profit_bps)),
        )
    return table


def _tail(pair: str) -> str:
    """The end of a pair's id: its beginning is the run's and the same for many."""
    return pair if len(pair) <= _ID_SHOWN else "…" + pair[1 - _ID_SHOWN :]


def _token_fees(market: MarketReport) -> str:
    """How fees in a venue's token got into the figures in quote units; empty where none did."""
    worth = {line.quote_asset: line.bridge.token_fees for line in market.money if line.bridge.token_fees}
    if not worth:
        return ""
    return f"counted as {_amounts(worth)}: notional times the fee rates below, discount for the token taken off"


def _unvalued_words(pairs: Iterable[PairLine]) -> str:
    left = _amounts(_unvalued(pairs))
    return f"{left}   (nothing tells its worth: in no figure in another currency)" if left else ""


def _unvalued(pairs: Iterable[PairLine]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for line in pairs:
        for asset, amount in line.unvalued.items():
            sums[asset] = sums.get(asset, Decimal(0)) + amount
    return sums


def _say(console: Console, text: str) -> None:
    console.print(Text(inert(text)), soft_wrap=True)


def _tally(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{inert(name)} {count}" for name, count in counts.items())


def _amounts(amounts: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{_digits(amount, 8)} {inert(asset)}" for asset, amount in amounts.items())


def _money(amount: Decimal) -> Text:
    return Text(_digits(amount, 4))


def _digits(amount: Decimal, places: int) -> str:
    """Rounded; a true zero has no sign, and what is too small to see keeps one digit of its size."""
    rounded = _SHOWN.quantize(amount, Decimal(1).scaleb(-places))
    if not rounded and amount:
        return f"{amount:.0e}"
    return f"{rounded or Decimal(0).scaleb(-places):f}"


def _bps(part: Decimal, whole: Decimal) -> Text:
    return Text("-" if not whole else f"{float(part) / float(whole) * 1e4:.2f}")


def _float(value: float | None) -> Text:
    return Text("-" if value is None else f"{value:.2f}")


def _time(ts_ns: int | None) -> str:
    if ts_ns is None:
        return "?"
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}Z"
