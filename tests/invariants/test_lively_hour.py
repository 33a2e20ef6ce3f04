"""An hour of `lively` on a virtual clock, through decoders, engine, gate, executor and paper venue; then all of it
again from the file alone, in fractions, by code that shares nothing with ledger and post-mortem.

`CRYPTO_PIPE_LIVELY_HOURS` plays longer: `make soak` a day.
"""

import asyncio
import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from bot.command_line import parse
from bot.engine.engine import RunInfo
from bot.engine.run import EngineRun, RunResult
from bot.ports import QuoteDrivenVenue
from bot.storage.journal import SqliteJournal
from bot.storage.queries import JournalReader
from bot.version import VERSION
from exchanges.live.market import configured_feeds
from exchanges.paper.actions import PaperActions
from exchanges.registry import all_venues
from exchanges.simulator.virtual_day import VirtualDay
from modes.house import load
from postmortem.report import build_report
from strategies.registry import build_strategy

PLAY_S = 3600 * float(os.environ.get("CRYPTO_PIPE_LIVELY_HOURS", "1"))
BUDGET_NS = 10_000_000_000
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Hour:
    """What is left of it."""

    result: RunResult
    data_dir: Path
    paper: PaperActions
    started_with: Mapping[tuple[str, str], Fraction]
    records: list[tuple[str, str, Figures]] = field(default_factory=list)
    """Kind, key, body, in order."""

    def of(self, kind: str) -> list[Figures]:
        return [body for its_kind, _, body in self.records if its_kind == kind]


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Hour:
    data_dir = tmp_path_factory.mktemp("lively")
    settings = load(parse(["--data-dir", str(data_dir), "--headless"])).settings
    venues = all_venues()
    feeds = configured_feeds(settings, venues)
    day = VirtualDay(feeds, venues, settings, scenario="lively", seed=1, play_s=PLAY_S)
    papers: list[PaperActions] = []

    def venue(fees: Any) -> QuoteDrivenVenue:
        papers.append(PaperActions(day.instruments, fees, settings.paper, day.clock))
        return papers[0]

    info = RunInfo("lively", settings.strategy, day.name, False, "digest", VERSION)
    journal = SqliteJournal(data_dir, info.run_id, group_commit_ms=0.0)
    run = EngineRun(
        info=info, market=day, strategy=build_strategy(settings.strategy, settings), venue=venue, settings=settings,
        journal=journal, log=lambda level, text: None, show_decision=None,
    )  # fmt: skip
    before = {(one.wallet, one.asset): Fraction(one.total) for one in papers[0].balances()}
    result = asyncio.run(run.run())
    found = Hour(result, data_dir, papers[0], before)
    with sqlite3.connect(data_dir / "journal.db") as file:
        for kind, key, body in file.execute("SELECT kind, key, body FROM records ORDER BY seq"):
            found.records.append((kind, key, json.loads(body)))
    return found


def test_it_trades_and_ends_well(hour: Hour) -> None:
    assert hour.result.complete
    assert not hour.result.halted
    assert hour.result.summary["decisions"]["taken"] > 0
    assert len(hour.of("fill")) >= 4


def test_no_pair_is_unhedged_beyond_the_budget(hour: Hour) -> None:
    end_ns = hour.of("run")[-1]["finished_ns"]
    for pair, fills in _by_pair(hour).items():
        steps = sorted((fill["ts_event_ns"], _signed_base(fill)) for fill in fills)
        held, uneven_since, worst_ns = Fraction(0), None, 0
        for ts_ns, change in steps:
            held += change
            if uneven_since is not None:
                worst_ns = max(worst_ns, ts_ns - uneven_since)
            uneven_since = (uneven_since or ts_ns) if abs(held) > _dust(fills) else None
        assert worst_ns <= BUDGET_NS, f"{pair} was uneven for {worst_ns / 1e9:.1f} s"
        assert uneven_since is None, f"{pair} ends uneven by {float(held)} ({end_ns})"


def test_profit_is_what_the_wallets_say(hour: Hour) -> None:
    due: defaultdict[str, Fraction] = defaultdict(Fraction)
    for fill in hour.of("fill"):
        for asset, amount in _cash(fill).items():
            due[asset] += amount
    for payment in hour.of("funding"):
        due[payment["asset"]] += Fraction(payment["payment"])
    changed: defaultdict[str, Fraction] = defaultdict(Fraction)
    for one in hour.paper.balances():
        changed[one.asset] += Fraction(one.total) - hour.started_with.get((one.wallet, one.asset), Fraction(0))
    for position in hour.paper.positions():
        # Not booked before it is closed: until then its entry value is still in the wallet.
        base = Fraction(position.quantity) * Fraction(position.instrument.contract_multiplier)
        changed["USDT"] -= base * Fraction(position.average_price)
    is_flat = not hour.paper.positions()
    for asset in due.keys() | changed.keys():
        rest = due[asset] - changed[asset]
        assert rest == 0 if is_flat else abs(rest) < Fraction(1, 10**9), f"{asset}: {float(rest)}"


def test_profit_is_what_the_summary_says(hour: Hour) -> None:
    closed = {body["pair"] for body in hour.of("pair") if body["state"] in ("closed", "failed", "missed")}
    realised: defaultdict[str, Fraction] = defaultdict(Fraction)
    for pair in closed:
        for asset, amount in _flows(hour, pair).items():
            realised[asset] += amount
    told = {asset: Fraction(amount) for asset, amount in hour.result.summary["pnl"].items()}
    assert {asset: amount for asset, amount in realised.items() if amount} == {a: n for a, n in told.items() if n}


def test_expected_and_realised_differ_by_named_causes_alone(hour: Hour) -> None:
    with JournalReader.open(hour.data_dir) as reader:
        report = build_report(reader, "arbitrage")
    (market,) = report.markets
    lines = market.pairs
    assert lines
    for line in lines:
        bridge = line.bridge
        fills = _by_pair(hour)[line.pair]
        expected, slippage, drift, fees, left = _causes(hour, line.pair, fills)
        funding = _flows_of_funding(hour, line.pair)
        assert Fraction(bridge.expected_gross) == expected + left
        assert Fraction(bridge.slippage) == slippage
        assert Fraction(bridge.drift) == drift
        assert Fraction(bridge.fees) == fees
        assert Fraction(bridge.funding) == funding
        assert bridge.residual == 0
        revalued = _revalued(hour, fills)
        assert Fraction(bridge.revaluation) == revalued
        profit = expected + left - slippage - drift - fees + funding + revalued
        assert Fraction(bridge.profit) == profit
        net = line.net
        assert net is not None
        promised, priced = _promised(hour, line.pair, fills)
        assert Fraction(net.expected) == promised - sum(priced.values())
        assert Fraction(net.price) == slippage + drift - priced["adverse"]
        assert Fraction(net.leaving) == promised - expected - left - priced["depth"] - priced["exit"]
        assert Fraction(net.fees) == fees - priced["fee"]
        assert Fraction(net.funding) == -funding - priced["funding"]
        assert Fraction(net.revaluation) == -revalued
        causes = (net.price, net.leaving, net.fees, net.funding, net.transfers, net.revaluation, net.set_aside)
        assert Fraction(net.expected) - profit == sum(map(Fraction, causes))
        assert net.residual == 0


def _promised(hour: Hour, pair: str, fills: list[Figures]) -> tuple[Fraction, defaultdict[str, Fraction]]:
    """Gross edge of the decision on what both legs opened, and the costs that it priced by their first word, USDT."""
    expected = next(body for body in hour.of("pair") if body["pair"] == pair)["expected"]
    opened = {side: sum((abs(_signed_base(fill)) for fill in fills if fill["leg"] == f"open_{side}"), Fraction(0))
              for side in ("buy", "sell")}  # fmt: skip
    bps = min(opened.values()) * Fraction(expected["buy_price"]) / 10_000
    priced: defaultdict[str, Fraction] = defaultdict(Fraction)
    for cost in expected["costs"]:
        priced[cost["name"].split()[0]] += bps * Fraction(str(cost["bps"]))
    return bps * Fraction(str(expected["gross_bps"])), priced


def _causes(hour: Hour, pair: str, fills: list[Figures]) -> tuple[Fraction, ...]:
    """Expected at the decisions' prices, slippage, drift, fees in USDT, and what is left at the last fills' prices."""
    states = [body for body in hour.of("pair") if body["pair"] == pair]
    opened, closed = states[0]["expected"], states[-1]["exit_expected"]
    expected = slippage = drift = fees = Fraction(0)
    left: defaultdict[str, Fraction] = defaultdict(Fraction)
    last: dict[str, Fraction] = {}
    for fill in fills:
        sign = 1 if fill["side"] == "buy" else -1
        base = Fraction(fill["quantity"]) * Fraction(fill["instrument"]["contract_multiplier"])
        price, wanted = Fraction(fill["price"]), Fraction(fill["expected_price"])
        plan = closed if fill["leg"].startswith("close") and closed is not None else opened
        decided = Fraction(plan["buy_price"] if sign > 0 else plan["sell_price"])
        expected -= sign * decided * base
        slippage += sign * (price - wanted) * base
        drift += sign * (wanted - decided) * base
        fees += Fraction(fill["fee"]) * (price if fill["fee_asset"] == fill["instrument"]["base"] else 1)
        left[_id(fill)] += sign * base
        last[_id(fill)] = price
    return expected, slippage, drift, fees, sum((left[one] * last[one] for one in left), Fraction(0))


def _revalued(hour: Hour, fills: list[Figures]) -> Fraction:
    """What is left of a base asset, at the run's last marks instead of the fills' prices."""
    marks = {one: Fraction(str(mark)) for one, mark in hour.of("run")[-1]["marks"].items()}
    left: defaultdict[str, Fraction] = defaultdict(Fraction)
    last: dict[str, Fraction] = {}
    worth = Fraction(0)
    for fill in fills:
        left[_id(fill)] += _signed_base(fill)
        last[_id(fill)] = Fraction(fill["price"])
        if fill["fee_asset"] == fill["instrument"]["base"]:
            worth -= Fraction(fill["fee"]) * (marks.get(_id(fill), last[_id(fill)]) - last[_id(fill)])
    return worth + sum((left[one] * (marks.get(one, last[one]) - last[one]) for one in left), Fraction(0))


def _flows(hour: Hour, pair: str) -> dict[str, Fraction]:
    flows: defaultdict[str, Fraction] = defaultdict(Fraction)
    for fill in _by_pair(hour)[pair]:
        for asset, amount in _cash(fill).items():
            flows[asset] += amount
    for payment in hour.of("funding"):
        if payment["pair"] == pair:
            flows[payment["asset"]] += Fraction(payment["payment"])
    return flows


def _flows_of_funding(hour: Hour, pair: str) -> Fraction:
    return sum((Fraction(one["payment"]) for one in hour.of("funding") if one["pair"] == pair), Fraction(0))


def _cash(fill: Figures) -> dict[str, Fraction]:
    sign = 1 if fill["side"] == "buy" else -1
    quantity = Fraction(fill["quantity"]) * Fraction(fill["instrument"]["contract_multiplier"])
    flows: defaultdict[str, Fraction] = defaultdict(Fraction)
    flows["USDT"] -= sign * quantity * Fraction(fill["price"])
    if fill["instrument"]["segment"] == "spot":
        flows[fill["instrument"]["base"]] += sign * quantity
    flows[fill["fee_asset"]] -= Fraction(fill["fee"])
    return flows


def _by_pair(hour: Hour) -> dict[str, list[Figures]]:
    found: defaultdict[str, list[Figures]] = defaultdict(list)
    for fill in hour.of("fill"):
        found[fill["pair"]].append(fill)
    return found


def _signed_base(fill: Figures) -> Fraction:
    sign = 1 if fill["side"] == "buy" else -1
    return sign * Fraction(fill["quantity"]) * Fraction(fill["instrument"]["contract_multiplier"])


def _dust(fills: list[Figures]) -> Fraction:
    one = max(fills, key=lambda fill: Fraction(fill["instrument"]["lot_size"]))["instrument"]
    return Fraction(one["lot_size"]) * Fraction(one["contract_multiplier"])


def _id(fill: Figures) -> str:
    return f"{fill['instrument']['venue']}:{fill['instrument']['symbol']}"
