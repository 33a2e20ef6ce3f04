"""One market's part of the report: its runs counted together."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from bot.storage.queries import Run
from postmortem.abandoned import abandoned_pairs
from postmortem.bridge import add_bridges
from postmortem.exact import ZERO, bps, exact, plain, total
from postmortem.figures import moment
from postmortem.model import MarketReport, MoneyLine, PairLine, ReturnLine, RouteLine, RunLine
from postmortem.net_edge import add_net_edges
from postmortem.pair_line import assumed_costs, describe, paid_fees, pair_line, received_funding
from postmortem.returns import return_line
from postmortem.story import Amounts, PairStory, RunStory, amounts_of
from postmortem.token_fees import token_fees
from postmortem.venues import average_price, instrument_lines

_DUST = Decimal("1e-12")


def market_report(market: str, real_money: bool, stories: Sequence[RunStory], since_ns: int | None) -> MarketReport:
    """Count the runs of one market together; with `since_ns`, only pairs that were still open then."""
    chosen = [(story, pair) for story in stories for pair in story.pairs.values() if _counts(pair, since_ns)]
    tried = [(story, pair) for story, pair in chosen if pair.fills]
    over = [(story, pair) for story, pair in tried if pair.is_realised]
    realised = _lines(over)
    held = _lines((story, pair) for story, pair in tried if not (pair.is_realised or pair.body.is_abandoned))
    wins = sum(line.bridge.profit > 0 for line in realised)
    return MarketReport(
        market=market,
        real_money=real_money,
        runs=tuple(_run_line(story) for story in stories),
        attempts=len(tried),
        missed=sum(pair.is_missed for _, pair in chosen),
        realised=len(realised),
        wins=wins,
        win_rate=wins / len(realised) if realised else None,
        profit=amounts_of([line.by_asset for line in realised]),
        money=tuple(_money(realised, held)),
        returns=tuple(_returns(stories, realised, since_ns)),
        fees=amounts_of([paid_fees(pair) for _, pair in over]),
        funding=amounts_of([received_funding(pair) for _, pair in over]),
        funding_of_no_pair=amounts_of([{p.asset: p.payment} for story in stories for p in story.funding_of_no_pair]),
        assumed=_assumed(stories, [pair for _, pair in chosen]),
        fee_sources=(*sorted({line for story in stories for line in _fee_sources(story)}), *_fee_changes(stories)),
        refusals=_counted((reason, n) for story in stories for (_, reason), n in story.refusals.items()),
        closes=_counted((_end_of(pair), 1) for _, pair in chosen if pair.body.is_over and pair.fills),
        orders=_counted((state, 1) for state in _order_states(stories).values()),
        routes=tuple(_routes(stories, [pair for _, pair in chosen], realised)),
        instruments=tuple(instrument_lines([pair for _, pair in over])),
        pairs=tuple(sorted(realised, key=lambda line: (-line.bridge.profit, line.pair))),
        open_pairs=tuple(held),
        abandoned=abandoned_pairs([pair for _, pair in chosen]),
    )


def _order_states(stories: Sequence[RunStory]) -> dict[tuple[str, str], str]:
    """The last state of every order: one that a run left open has its end in a later one, under the same name."""
    runs, states = [story.run.run_id for story in stories], {}
    for story in stories:
        for name, state in story.order_states.items():
            sent_by = next((run for run in runs if name.startswith(f"{run}-")), story.run.run_id)
            states[sent_by, name] = state
    return states


def _counts(pair: PairStory, since_ns: int | None) -> bool:
    closed_ns = pair.body.ts_close_ns
    if since_ns is None or not pair.body.is_over:
        return True
    return (closed_ns if closed_ns is not None else pair.body.ts_open_ns) >= since_ns


def _lines(chosen: Iterable[tuple[RunStory, PairStory]]) -> list[PairLine]:
    return [pair_line(story.run.run_id, pair, story.marks, token_fees(story.start.fees)) for story, pair in chosen]


def _end_of(pair: PairStory) -> str:
    return pair.body.close_reason or pair.body.state


def _run_line(story: RunStory) -> RunLine:
    run = story.run
    unexplained = _above_dust(story.unexplained())
    differs = _above_dust(_differs_from_run(story))
    return RunLine(
        run_id=run.run_id,
        version=story.start.version,
        started_ns=run.started_ns,
        ended_ns=run.last_ns if run.end is not None else None,
        market_started_ns=run.market_started_ns,
        market_ended_ns=run.market_ended_ns,
        complete=run.end is not None and bool(run.end.get("complete")),
        problems=tuple(_problems(story, unexplained, differs)),
        unexplained=unexplained,
        differs_from_run=differs,
    )


def _problems(story: RunStory, unexplained: Amounts | None, differs: Amounts | None) -> Iterable[str]:
    end = story.run.end
    if end is None:
        yield "no end was recorded: it runs still, or was killed"
    elif not end.get("complete"):
        reasons = end.get("summary", {}).get("incomplete_because") or ["the market ended early"]
        yield "incomplete: " + "; ".join(map(str, reasons))
    if story.errors:
        yield "1 error was logged" if story.errors == 1 else f"{story.errors} errors were logged"
    if story.stray_fills:
        yield f"{len(story.stray_fills)} fills belong to no pair of their currency and are in no figure"
    if unexplained:
        yield f"NOT ACCOUNTED FOR: the wallets changed by {describe(unexplained)} more than the records explain"
    if differs:
        yield f"DIFFERS: the profit here is {describe(differs)} above what the run itself counted"


def _differs_from_run(story: RunStory) -> Amounts | None:
    told = (story.run.end or {}).get("summary", {}).get("pnl")
    if told is None:
        return None
    try:
        theirs = {asset: -Decimal(amount) for asset, amount in told.items()}
    except InvalidOperation:
        return None
    return amounts_of([*(pair.flows() for pair in story.pairs.values() if pair.is_realised), theirs])


def _above_dust(amounts: Amounts | None) -> Amounts | None:
    """Without what the 18th decimal of an inverse contract's quotient leaves."""
    return None if amounts is None else {asset: amount for asset, amount in amounts.items() if abs(amount) > _DUST}


def _money(realised: Sequence[PairLine], held: Sequence[PairLine]) -> Iterable[MoneyLine]:
    for asset in sorted({line.quote_asset for line in (*realised, *held)}):
        done = [line for line in realised if line.quote_asset == asset]
        still = [line for line in held if line.quote_asset == asset]
        bridge = add_bridges(line.bridge for line in done)
        notional = total(line.notional for line in done)
        yield MoneyLine(
            quote_asset=asset,
            pairs=len(done),
            notional=notional,
            bridge=bridge,
            net=add_net_edges(line.net for line in done),
            gross_expected_bps=bps(bridge.expected_gross, notional),
            gross_realised_bps=bps(bridge.realised_gross, notional),
            open_pairs=len(still),
            unrealised=total(line.bridge.profit for line in still),
        )


def _returns(stories: Sequence[RunStory], realised: Sequence[PairLine], since_ns: int | None) -> Iterable[ReturnLine]:
    span_ns = _watched_ns([story.run for story in stories], realised, since_ns or 0)
    for asset in sorted({line.quote_asset for line in realised}):
        yield return_line(asset, [line for line in realised if line.quote_asset == asset], span_ns)


def _watched_ns(runs: Iterable[Run], realised: Iterable[PairLine], since_ns: int) -> int:
    """How long the market was watched: each run to its last record, and what its pairs were held for before."""
    opened: dict[str, int] = {}
    for line in realised:
        opened[line.run_id] = min(line.ts_open_ns, opened.get(line.run_id, line.ts_open_ns))
    watched_ns = until_ns = 0
    for run in runs:
        begun_ns = max(run.market_started_ns, since_ns)
        begun_ns = min(begun_ns, max(opened.get(run.run_id, begun_ns), until_ns))
        ended_ns = run.last_ns if run.market_ended_ns is None else run.market_ended_ns
        watched_ns += max(ended_ns - begun_ns, 0)
        until_ns = max(until_ns, ended_ns)
    return watched_ns


def _assumed(stories: Sequence[RunStory], pairs: Sequence[PairStory]) -> tuple[str, ...]:
    lines: dict[str, None] = {}
    for story in stories:
        for feed, rate in story.start.funding_assumed.items():
            if rate is not None:
                lines[f"funding of {feed}: {plain(rate)} bps per 8 h"] = None
    for pair in pairs:
        lines |= dict.fromkeys(assumed_costs(pair))
        lines |= dict.fromkeys(f"funding paid on {p.instrument}" for p in pair.funding if p.assumed)
    return tuple(lines)


def _fee_sources(story: RunStory) -> Iterable[str]:
    for feed, fees in story.start.fees.items():
        if isinstance(fees, Mapping):
            rates = f"taker {fees.get('taker_bps')} bps, maker {fees.get('maker_bps')} bps ({fees.get('source')})"
            yield f"{feed}: {rates}{_token_words(fees)}"


def _fee_changes(stories: Iterable[RunStory]) -> Iterable[str]:
    """What the venues began to charge during these runs, in order."""
    for ts_ns, words in sorted(change for story in stories for change in story.fee_changes):
        yield f"{words}, from {moment(ts_ns)}"


def _token_words(fees: Mapping[str, Any]) -> str:
    """` less 25 % in BNB`; empty where fees are not taken in a token."""
    return f" less {100 * float(fees.get('token_discount') or 0):g} % in {fees['token']}" if fees.get("token") else ""


def _counted(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """By name, most frequent first."""
    totals: Counter[str] = Counter()
    for name, count in counts:
        totals[name] += count
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def _routes(stories: Sequence[RunStory], pairs: Sequence[PairStory], realised: Sequence[PairLine]) -> list[RouteLine]:
    by_route: defaultdict[str, list[PairStory]] = defaultdict(list)
    for pair in pairs:
        by_route[pair.body.route].append(pair)
    names = {*by_route, *(route for story in stories for route, _ in story.refusals)}
    names |= {route for story in stories for route in story.best_gross_bps}
    lines = [_route(name, by_route[name], [r for r in realised if r.route == name], stories) for name in sorted(names)]
    return sorted(lines, key=lambda line: (-line.profit, -line.attempts, line.route))


def _route(name: str, pairs: Sequence[PairStory], done: Sequence[PairLine], stories: Sequence[RunStory]) -> RouteLine:
    saw = [(s.best_gross_bps[name], s.needed_bps.get(name)) for s in stories if name in s.best_gross_bps]
    best = max(saw, key=lambda seen: seen[0], default=(None, None))
    fills = [fill for pair in pairs if pair.is_realised for fill, _ in pair.fills]
    with exact():
        profit = total(line.bridge.profit for line in done) if done else ZERO
        bought = average_price([fill for fill in fills if fill.leg == "open_buy"])
        sold = average_price([fill for fill in fills if fill.leg == "open_sell"])
    return RouteLine(
        route=name,
        attempts=sum(bool(pair.fills) for pair in pairs),
        missed=sum(pair.is_missed for pair in pairs),
        wins=sum(line.bridge.profit > 0 for line in done),
        realised=len(done),
        quote_asset=pairs[0].body.quote_asset if pairs else None,
        profit=profit,
        average_buy_price=bought,
        average_sell_price=sold,
        best_gross_bps=best[0],
        needed_bps=best[1],
        refusals=_counted((why, n) for s in stories for (route, why), n in s.refusals.items() if route == name),
    )
