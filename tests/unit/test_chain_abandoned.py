"""Paper money of an earlier run: what the wallets of a new one hold of it, and what they do not."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from bot.engine.accounts.left_behind import LeftBehind
from bot.engine.takeover import Takeover
from bot.execution.journal_replay import JournalReplay
from bot.ports import RecordKind
from bot.storage.schema import encode
from bot.transfers.paper_carrier import PaperCarrier
from tests.unit.engine_chain_bench import BTC, MS, THERE, Bench, D, Ways, across
from tests.unit.test_engine_chains_adopted import Kept


def arrived() -> tuple[LeftBehind, list[Any]]:
    """What a run leaves that is killed when its amount has arrived, and the journal's records of transfers."""
    bench = across(Ways())
    bench.quote(THERE, 61_000.0, 61_002.0)
    (chain,) = bench.engine.desk.chains.chains.values()
    while not any(travel.is_over for travel in chain.travels.values()):
        bench.clock.advance_to(bench.clock.now_ns() + 100 * MS)
    replay = JournalReplay({one.id: one for one in bench.instruments})
    for kind, key, body in bench.journal.records:
        replay.take(Kept(kind, key, json.loads(encode(body))))
    return LeftBehind(pairs=replay.left()), bench.journal.of(RecordKind.TRANSFER)


@pytest.mark.parametrize("pairs", ["adopt", "abandon"])
async def test_the_wallets_hold_what_was_carried_only_where_the_chain_is_gone_on_with(pairs: str) -> None:
    left, earlier = arrived()
    (chain,) = (one.pair for one in left.pairs)

    def again(bench: Bench) -> PaperCarrier:
        return PaperCarrier(bench.paper, Ways(), bench.journal, bench.clock, 5.0, earlier)

    bench = Bench((BTC, THERE), ("transfer",), terms=Ways(), carrier=again, reconciliation={"pairs": pairs})
    there: Any = None
    takeover = Takeover(
        bench.engine, there, bench.paper, bench.journal, data_dir=None, accounts=None,
        carrier=bench.engine.desk.chains._transfers._carrier, patience=None,
    )  # fmt: skip
    takeover._left = left
    await takeover.settle()
    held = {one.wallet: one.total for one in bench.paper.balances() if one.asset == "BTC"}
    btc = {wallet: total for wallet, total in held.items() if abs(total) >= D("1e-8")}  # less is on no network's grid
    (travel,) = chain.travels.values()  # type: ignore[union-attr]
    assert btc == ({"bybit.unified": travel.received} if pairs == "adopt" else {})
    assert travel.received > D("0.01")


@pytest.mark.parametrize("is_paper", [True, False], ids=["paper", "account"])
def test_dust_is_taken_along_where_it_lies_and_in_a_new_paper_wallet_it_does_not(is_paper: bool) -> None:
    bench = across(Ways())
    venue: Any = bench.paper if is_paper else SimpleNamespace()
    market: Any = SimpleNamespace(instruments=bench.instruments, clock=bench.clock)
    takeover = Takeover(
        bench.engine, market, venue, bench.journal, data_dir=None, accounts=None, carrier=None, patience=None
    )
    takeover._dust = {THERE.id: D("0.0002")}
    takeover.restore_dust()
    assert bench.engine.desk.executor.dust.amounts == ({} if is_paper else {THERE.id: D("0.0002")})
    if is_paper:
        bench.quote(THERE, 61_000.0, 61_002.0)
        bench.wait(650_000)
        assert not [line for line in bench.log if "rejected" in line], "it would sell what is not there"
