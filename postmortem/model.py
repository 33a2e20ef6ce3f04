"""The report as values; `Report.model_dump_json()` is what programs read. Amounts are decimal strings there."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from postmortem.bridge import Bridge
from postmortem.by_hand import HandRun
from postmortem.exact import Money
from postmortem.net_edge import NetEdge
from postmortem.shadow import ShadowReport

Amounts = dict[str, Money]
"""By asset; positive is ours."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class RunLine(_Part):
    """One run that the report counts."""

    run_id: str
    version: str
    started_ns: int
    ended_ns: int | None
    """None: no end was recorded; it runs still, or was killed."""
    market_started_ns: int
    """On the market's clock: the recording's, where one was played."""
    market_ended_ns: int | None
    complete: bool
    """False also for a market that ended early."""
    problems: tuple[str, ...]
    """What a reader of the figures has to know; empty when all is well."""
    unexplained: Amounts | None
    """Change of the wallets that fills, fees and funding do not explain: empty when every cent is accounted for;
    None where it cannot be told (a position is open, or the end is missing)."""
    differs_from_run: Amounts | None
    """Profit here less the profit that the run itself counted: empty when they agree; None where it told none."""


class PairLine(_Part):
    """One pair that reached a fill."""

    pair: str
    run_id: str
    route: str
    state: str
    quote_asset: str
    ts_open_ns: int
    ts_close_ns: int | None
    close_reason: str | None
    bought_base: Money
    """Of the opening."""
    sold_base: Money
    notional: Money
    """Quote units of the larger opening side."""
    edge_expected_bps: float | None
    """Entry edge at the decision."""
    edge_realised_bps: Money | None
    """Entry edge of the fills; None where one side was not filled."""
    bridge: Bridge
    """Of an open pair: `profit` is unrealised, at the marks that the run ended with."""
    net: NetEdge | None
    """From the net edge at the decision to the same profit; None where an older journal tells no edge."""
    profit_bps: Money | None
    """Of `notional`."""
    by_asset: Amounts
    """Cash that moved, fees and funding included."""
    unvalued: Amounts
    """Cash in other assets than base and quote that nothing tells the worth of: in no figure in quote units."""


class AbandonedPair(_Part):
    """One pair that a person had the bot forget (`reconciliation.pairs=abandon`); in no profit and in no other sum."""

    pair: str
    route: str
    ts_open_ns: int
    abandoned_by: str
    """The run that was started so."""
    ts_abandoned_ns: int | None
    was: str | None
    """Its state until then; None in an older journal."""
    held: str
    """By the journal, in words; what the person had closed by then was not known."""
    orders: tuple[str, ...]
    """Client order ids without a known end; empty also in an older journal."""
    by_asset: Amounts
    """Cash that had moved until then, fees and funding included."""


class MoneyLine(_Part):
    """All realised pairs in one quote currency."""

    quote_asset: str
    pairs: int
    notional: Money
    bridge: Bridge
    net: NetEdge
    """Of the pairs that tell it."""
    gross_expected_bps: Money | None
    """Of `notional`, entry and exit."""
    gross_realised_bps: Money | None
    open_pairs: int
    unrealised: Money
    """Of the open pairs, at the last marks; in no other figure."""


class ReturnLine(_Part):
    """What the realised pairs in one quote currency returned on the money that they held."""

    quote_asset: str
    profit: Money
    peak_locked: Money
    """The largest sum of the notionals of all pairs that were open at one moment, without leverage."""
    mean_locked: Money
    """The same on average over the time that the market was watched, or a pair held between two runs."""
    return_ratio: Money | None
    """Profit over `peak_locked`."""
    return_per_year: Money | None
    """Profit over `mean_locked`, as if the time watched went on for a year; None where it was less than a day."""
    max_drawdown: Money
    """The largest fall of the realised profit below its highest point before; a pair counts when it ends."""


class RouteLine(_Part):
    """One route."""

    route: str
    attempts: int
    missed: int
    wins: int
    realised: int
    quote_asset: str | None
    profit: Money
    average_buy_price: Money | None
    """Of what opened its realised pairs, quote units; None where nothing was bought."""
    average_sell_price: Money | None
    best_gross_bps: float | None
    """The best edge that a decision saw."""
    needed_bps: float | None
    """Break-even at that decision."""
    refusals: dict[str, int]


class InstrumentLine(_Part):
    """All fills of the realised pairs on one instrument: what the account at its venue has of them."""

    venue: str
    instrument: str
    fills: int
    bought: Money
    """Venue units, opening and closing; as `sold`."""
    average_buy_price: Money | None
    """Quote units; None where nothing was bought."""
    sold: Money
    average_sell_price: Money | None
    fees: Amounts
    """Paid; negative is a rebate."""
    funding: Amounts
    """Received."""
    by_asset: Amounts
    """Cash that moved there, fees and funding included: over all lines it is the market's profit, and what transfers
    kept."""


class MarketReport(_Part):
    """All runs on one kind of market. Figures of different markets are never added."""

    market: str
    """`simulated`, `recorded`, `testnet`, `live, paper` or `real`; `..., shadow`: the real orders beside paper."""
    real_money: bool
    runs: tuple[RunLine, ...]
    attempts: int
    """Pairs that reached at least one fill."""
    missed: int
    """Pairs that reached none."""
    realised: int
    """Attempts that are over and hold no position: failed ones included, abandoned ones not."""
    wins: int
    """Realised pairs with a profit above zero."""
    win_rate: float | None
    """Wins over realised; None where nothing is."""
    profit: Amounts
    """By asset, of realised pairs, net of fees and funding."""
    money: tuple[MoneyLine, ...]
    """In quote currency."""
    returns: tuple[ReturnLine, ...]
    """By quote currency."""
    fees: Amounts
    """Paid, by asset, of realised pairs; negative is a rebate."""
    funding: Amounts
    """Received, by asset, of realised pairs."""
    funding_of_no_pair: Amounts
    """Received for positions that no pair owns; in no profit."""
    assumed: tuple[str, ...]
    """Figures that are settings and not what a venue said."""
    fee_sources: tuple[str, ...]
    """What the runs began with, by feed, and after it what changed during them."""
    refusals: dict[str, int]
    closes: dict[str, int]
    """Of pairs that are over, by reason."""
    orders: dict[str, int]
    """By last known state."""
    routes: tuple[RouteLine, ...]
    instruments: tuple[InstrumentLine, ...]
    """By venue and symbol."""
    pairs: tuple[PairLine, ...]
    """Realised, best first."""
    open_pairs: tuple[PairLine, ...]
    abandoned: tuple[AbandonedPair, ...] = ()
    """In the order of their opening; those with a fill are counted as attempts, and in nothing else."""


class Report(_Part):
    """What happened."""

    schema_version: Literal[1] = 1
    strategy: str
    run: str | None
    """The only run looked at; None: all."""
    since_ns: int | None
    markets: tuple[MarketReport, ...]
    """Never to be added up."""
    shadow: tuple[ShadowReport, ...] = ()
    """What real orders beside paper ones said; one for each market that had them."""
    by_hand: tuple[HandRun, ...] = ()
    """What a person did with the accounts from Python; in no other figure."""
    residual: Money
    """Sum of every pair's |residual|, of both its bridges: exactly 0, or the report is wrong."""
