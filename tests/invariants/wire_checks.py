"""What must hold between the exchanges' own words and the journal file; nothing of the bot's code takes part, but
for its ledger where that is what is compared."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.execution.journal_replay import KINDS, replay_ledger
from bot.storage.queries import JournalReader
from postmortem.report import build_report
from tests.invariants.checks import JournalFile
from tests.invariants.venue_truth import Trade, VenueTruth

D = Decimal
_MS = 1_000_000
_WALLETS = {
    "binance": {True: "binance.linear", False: "binance.spot"},
    "bybit": dict.fromkeys((True, False), "bybit.unified"),
}
_MOST_DUST = D("0.0002")
"""Of bitcoin; twice what the least notional of an order buys."""
OVER = {"closed", "missed", "failed"}


def pair_states(file: JournalFile) -> dict[str, str]:
    """The newest state of every pair."""
    return {key: str(body["state"]) for key, body in file.bodies("pair")}


def every_order_was_written_down(truth: VenueTruth, file: JournalFile) -> None:
    """What arrived has an intent on the disk, from before, and arrived once."""
    intents: dict[str, int] = {}
    for key, body in file.bodies("order"):
        if body["status"] == "intent":
            assert key not in intents, f"{key} was intended twice"
            intents[key] = body["ts_decision_ns"]
    arrivals = Counter(one.client_order_id for one in truth.orders.values())
    twice = [key for key, count in arrivals.items() if count > 1]
    assert not twice, f"arrived more than once: {twice}"
    for one in truth.orders.values():
        assert one.client_order_id in intents, f"{one} arrived without an intent on the disk"
        assert intents[one.client_order_id] // _MS <= one.created_ms, f"{one} arrived before its intent"


def every_trade_is_counted_once(truth: VenueTruth, file: JournalFile) -> None:
    """Trade by trade: who, which way, how much, at which price, at which fee, in which asset."""
    at_venues = Counter(truth.trades.values())
    fills = (body for _, body in file.bodies("fill"))
    # What two closing pairs have matched with each other is no trade.
    in_journal = Counter(_trade(body) for body in fills if body["client_order_id"] != "netted")
    missing, too_many = at_venues - in_journal, in_journal - at_venues
    assert not missing, f"not in the journal: {missing}"
    assert not too_many, f"in the journal, and not at the venue, or twice: {too_many}"


def all_is_flat(truth: VenueTruth, positions: Mapping[str, Decimal], coins: Decimal, file: JournalFile) -> None:
    """No position, no open order, no pair that is not over; of spot's coins, what the dust ledger says."""
    assert not positions, f"left at the venues: {positions}"
    still = [one for one in truth.orders.values() if one.is_open]
    assert not still, f"open orders: {still}"
    dust = [D(body["quantity"]) for key, body in file.bodies("dust") if key == "binance:BTC/USDT"]
    assert coins == (dust[-1] if dust else 0), f"{coins} BTC are left, and the dust ledger says {dust[-3:]}"
    assert abs(coins) <= _MOST_DUST, f"{coins} BTC are no dust"
    unfinished = {pair: state for pair, state in pair_states(file).items() if state not in OVER}
    assert not unfinished, f"pairs that are not over: {unfinished}"


def cash_is_conserved(
    before: Mapping[tuple[str, str], Decimal],
    after: Mapping[tuple[str, str], Decimal],
    funding: Mapping[tuple[str, str], Decimal],
    file: JournalFile,
) -> None:
    """By wallet and asset, to the last digit: before, the journal's fills less fees in their own asset, and funding."""
    due: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal, before)
    for _, body in file.bodies("fill"):
        trade = _trade(body)
        venue, _, symbol = trade.instrument.partition(":")
        for asset, amount in trade.cash.items():
            due[_WALLETS[venue][":" in symbol], asset] += amount
    for place, amount in funding.items():
        due[place] += amount
    for place in due.keys() | after.keys():
        held = after.get(place, D(0))
        assert held == due[place], f"{place}: {held} there, {due[place]} due, {held - due[place]} unexplained"
    booked: defaultdict[str, Decimal] = defaultdict(Decimal)
    for _, body in file.bodies("funding"):
        booked[body["asset"]] += D(body["payment"])
    received = sum(funding.values(), D(0))
    assert booked["USDT"] == received, f"funding: {booked['USDT']} in the journal, {received} at the venues"


def profit_is_the_venues(
    before: Mapping[tuple[str, str], Decimal], after: Mapping[tuple[str, str], Decimal], data_dir: Path
) -> str:
    """The profit that the bot's ledger makes of the journal, and what its post-mortem tells, are what the venues' own
    balances changed by, to the last digit; in words. With every pair over, the ledger's flows are all there is."""
    changed: defaultdict[str, Decimal] = defaultdict(Decimal)
    for place in before.keys() | after.keys():
        changed[place[1]] += after.get(place, D(0)) - before.get(place, D(0))
    with JournalReader.open(data_dir) as reader:
        records = [record for run in reader.runs() for record in reader.records(run.run_id, *KINDS)]
        report = build_report(reader, "arbitrage")
    realised = replay_ledger(records).realised()
    for asset in changed.keys() | realised.keys():
        booked = realised.get(asset, D(0))
        assert booked == changed[asset], f"{asset}: the ledger says {booked}, the venues' balances {changed[asset]}"
    (market,) = report.markets
    told = {asset: amount for asset, amount in market.profit.items() if amount}
    assert told == {asset: amount for asset, amount in changed.items() if amount}, "what the post-mortem tells"
    assert report.residual == 0
    return f"realised {realised['USDT']} USDT by the ledger, and by the venues' balances"


def why_halted(file: JournalFile) -> str:
    """What the last event of a halt says; empty where there is none."""
    said = [str(body.get("text", body)) for _, body in file.bodies("event")]
    return next((text for text in reversed(said) if "HALTED" in text), "")


def _trade(body: Mapping[str, Any]) -> Trade:
    instrument = f"{body['instrument']['venue']}:{body['instrument']['symbol']}"
    return Trade(
        instrument, body["fill_id"], body["client_order_id"], body["side"],
        D(body["quantity"]), D(body["price"]), D(body["fee"]), body["fee_asset"],
    )  # fmt: skip
