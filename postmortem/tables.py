"""The tables of a report for people, and what of them is left out where a line is short."""

from collections.abc import Sequence
from decimal import Decimal

from rich import box
from rich.table import Table
from rich.text import Text

from bot.text import inert
from postmortem.exact import plain
from postmortem.figures import amounts_in_words, digits, moment, tally
from postmortem.model import InstrumentLine, MoneyLine, PairLine, RouteLine

WIDE = 115
"""Characters of a line that holds every column; a shorter one leaves some out. `--json` has them all."""
_ROUTES = 20
_ID_SHOWN = 12


def bridge_table(line: MoneyLine) -> Table:
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


def net_edge_table(line: MoneyLine) -> Table:
    """From the net edge of the decisions to open to the same profit; what cost more than priced with a minus."""
    net = line.net
    table = Table(box=box.SIMPLE_HEAD, title="What became of the net edge that was priced", title_justify="left")
    table.add_column("")
    table.add_column(inert(line.quote_asset), justify="right")
    table.add_column("bps of notional", justify="right")
    parts = {
        "net edge expected": net.expected,
        "slippage and drift beyond adverse moves": -net.price,
        "prices otherwise than by depth and exit basis": -net.leaving,
        "fees beyond those priced": -net.fees,
        "funding beyond that priced": -net.funding,
        "transfers beyond those priced": -net.transfers,
        "revaluation of rests beyond rounding": -net.revaluation,
        "priced, and paid by no pair itself": -net.set_aside,
        "profit": net.profit,
    }
    for name, amount in parts.items():
        if amount or name in ("net edge expected", "profit"):
            text = Text(("= " if name == "profit" else "  ") + name)
            table.add_row(text, _money(amount), _bps(amount, line.notional), end_section=name == "profit")
    return table


def routes_table(routes: Sequence[RouteLine], width: int) -> Table:
    """A row a route, those with the most attempts first; short lines have no refusals."""
    more = f" (first {_ROUTES} of {len(routes)})" if len(routes) > _ROUTES else ""
    table = Table(box=box.SIMPLE_HEAD, title=f"Routes{more}", title_justify="left")
    table.add_column("route", overflow="fold", ratio=2)
    best = "best at a decision" if width >= WIDE else "best"
    for name in ("attempts", "missed", "won", "profit", best, "needed"):
        table.add_column(name, justify="right", no_wrap=True)
    if width >= WIDE:
        table.add_column("refused", overflow="fold", ratio=1)
    for line in routes[:_ROUTES]:
        cells = [
            Text(inert(line.route)),
            Text(str(line.attempts)),
            Text(str(line.missed)),
            Text(f"{line.wins}/{line.realised}" if line.realised else "-"),
            _money(line.profit) if line.realised else Text("-"),
            _float(line.best_gross_bps),
            _float(line.needed_bps),
        ]
        table.add_row(*cells, *([Text(tally(line.refusals) or "-")] if width >= WIDE else []))
    return table


def instruments_table(lines: Sequence[InstrumentLine], width: int) -> Table:
    """What each venue's account has of the realised pairs; short lines have neither fees nor funding."""
    table = Table(box=box.SIMPLE_HEAD, title="Traded, by venue (realised pairs)", title_justify="left")
    table.add_column("instrument", overflow="fold", ratio=1)
    for name in ("fills", "bought", "at", "sold", "at"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("fees", "funding", "cash there") if width >= WIDE else ("cash there",):
        table.add_column(name, justify="right", overflow="fold")
    for line in lines:
        costs = (amounts_in_words(line.fees), amounts_in_words(line.funding)) if width >= WIDE else ()
        cells = (
            inert(line.instrument),
            str(line.fills),
            plain(line.bought),
            "-" if line.average_buy_price is None else digits(line.average_buy_price, 4),
            plain(line.sold),
            "-" if line.average_sell_price is None else digits(line.average_sell_price, 4),
            *costs,
            amounts_in_words(line.by_asset),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def pairs_table(title: str, pairs: Sequence[PairLine], profit: str, width: int) -> Table:
    """A row a pair, edges in bps, the rest in its quote currency; short lines have edges and profit alone."""
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, collapse_padding=True)
    table.add_column("pair", no_wrap=True)
    table.add_column("opened", no_wrap=True)
    table.add_column("ended", overflow="fold", min_width=9)
    costs = ("slippage", "fees", "funding") if width >= WIDE else ()
    for name in ("edge exp.", "edge real.", *costs, profit, "bps"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in pairs:
        bridge = line.bridge
        spent = (bridge.expected_gross - bridge.realised_gross, bridge.fees + bridge.token_fees, bridge.funding)
        table.add_row(
            Text(_tail(inert(line.pair))),
            Text(moment(line.ts_open_ns)[5:]),  # the year stands with the run
            Text(inert(line.close_reason or line.state)),
            _float(line.edge_expected_bps),
            _float(None if line.edge_realised_bps is None else float(line.edge_realised_bps)),
            *(_money(amount) for amount in spent if costs),
            _money(bridge.profit),
            _float(None if line.profit_bps is None else float(line.profit_bps)),
        )
    return table


def _tail(pair: str) -> str:
    """The end of a pair's id: its beginning is the run's and the same for many."""
    return pair if len(pair) <= _ID_SHOWN else "…" + pair[1 - _ID_SHOWN :]


def _money(amount: Decimal) -> Text:
    return Text(digits(amount, 4))


def _bps(part: Decimal, whole: Decimal) -> Text:
    return Text("-" if not whole else f"{float(part) / float(whole) * 1e4:.2f}")


def _float(value: float | None) -> Text:
    return Text("-" if value is None else f"{value:.2f}")
