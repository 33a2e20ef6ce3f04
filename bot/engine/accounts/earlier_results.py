"""What earlier runs on the same accounts realised today: a restart must not make the day's loss limit anew."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Any

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument
from bot.engine.accounts.abandoned import ABANDONED
from bot.engine.accounts.runs_before import agrees, begun_by, shares
from bot.execution.in_quote import profit_in_quote
from bot.execution.journal_replay import KINDS, Entry, replay_ledger
from bot.execution.ledger import Ledger
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.storage.queries import JournalReader, Run

_DAY_NS = 86_400_000_000_000


def realised_today(
    data_dir: Path,
    accounts: Mapping[str, str] | None,
    instruments: Sequence[Instrument],
    now_ns: int,
    without: Collection[str] = (),
    missing: Iterable[Entry] = (),
) -> Decimal:
    """Profit of the pairs that ended since midnight UTC in runs on `accounts` (venue -> whose), quote units.

    Also in runs that had more venues, or fewer: naming one more in the settings must not make the limit anew either.
    As the running bot counts it (`profit_in_quote`). What a person had the bot forget is no part of it: its fills are
    those of a half that somebody else closed, and would count what it was opened for as a loss, or a gain. Pairs
    `without` are in hand again, and count when they end. `missing` is what a crash took of their records.

    Raises:
        StorageError: If the journal cannot be read.
    """
    midnight_ns = now_ns - now_ns % _DAY_NS
    with JournalReader.open(data_dir) as reader:
        runs = reader.runs()
        mine = [run for run in runs if accounts and agrees(run, accounts)]
        ended: dict[str, Mapping[str, Any]] = {}
        for run in (run for run in mine if run.last_ns >= midnight_ns):
            ended |= {one.key: one.body for one in reader.records(run.run_id, RecordKind.PAIR)}
        ended = {
            pair_id: body
            for pair_id, body in ended.items()
            if pair_id not in without and _ended_since(body, midnight_ns)
        }
        if not ended:
            return Decimal(0)
        # One of these may have begun on other venues than these, in a run that another took over from.
        runs = [run for run in runs if any(shares(run, one.start["accounts"]) for one in mine)]
        records = chain.from_iterable(reader.records(run.run_id, *KINDS) for run in runs[_first(runs, ended) :])
        # Of other pairs these runs may hold an end, or a fill that a start found, and not their beginning.
        wanted = (one for one in chain(records, missing) if one.kind is RecordKind.RUN or _pair_of(one) in ended)
        ledger = replay_ledger(wanted, {one.id: one for one in instruments})
        fees = _fees(runs)
    return sum((_in_quote(ledger, pair_id, body, fees) for pair_id, body in ended.items()), Decimal(0))


def _ended_since(body: Mapping[str, Any], since_ns: int) -> bool:
    closed_ns = body["ts_close_ns"]
    if body["close_reason"] == ABANDONED:
        return False
    return PairState(body["state"]).is_over and closed_ns is not None and closed_ns >= since_ns


def _first(runs: Sequence[Run], pairs: Mapping[str, Any]) -> int:
    """The run that opened the oldest of these pairs: their fills begin there."""
    begun = {begun_by(pair_id) for pair_id in pairs}
    return min(at for at, run in enumerate(runs) if run.run_id in begun)


def _pair_of(record: Entry) -> str | None:
    return record.key if record.kind is RecordKind.PAIR else record.body.get("pair")


def _in_quote(ledger: Ledger, pair_id: str, body: Mapping[str, Any], fees: Mapping[str, FeeSchedule]) -> Decimal:
    price = Decimal(body["expected"]["buy_price"])
    return profit_in_quote(ledger.pair(pair_id), price, lambda one: fees.get(str(one.feed)))


def _fees(runs: Sequence[Run]) -> dict[str, FeeSchedule]:
    """As the newest of these runs began with, by feed."""
    told = {feed: one for run in runs for feed, one in run.start.get("fees", {}).items()}
    return {feed: FeeSchedule.model_validate(one) for feed, one in told.items()}
