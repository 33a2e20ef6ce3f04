"""What earlier runs on the same accounts left in hand, read from the journal before a run adds to it.

Each run that has taken over what was left says so, once (`ADOPTED`): a start reads the journal from there on, and from
the beginnings of the pairs that are named there. Pairs of other accounts are nobody's here, and only named.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.domain.instrument import Instrument
from bot.engine.accounts.abandoned import ABANDONED
from bot.engine.accounts.left_open import left_open
from bot.engine.accounts.runs_before import asked_since_ns, begun_by, is_on, needed, shares
from bot.errors import StorageError
from bot.execution.beside import BESIDE
from bot.execution.chain import Chain
from bot.execution.journal_replay import KINDS, JournalReplay, LeftPair
from bot.execution.pair import PairState
from bot.ports import Journal, RecordKind
from bot.storage.queries import JournalReader

BEFORE_NS = 600_000_000_000
"""News of an order may be so late: from so long before the last record on, own trades are compared one by one."""


@dataclass(frozen=True, slots=True)
class MissingPart:
    """What one pair, or nobody, had of a funding payment; or what one of several pairs had of fills of one event."""

    key: str
    """The instrument; of a fill its id."""
    ts_ns: int
    body: Mapping[str, Any]
    kind: RecordKind = RecordKind.FUNDING


@dataclass(slots=True)
class LeftBehind:
    """What was in hand when the newest run on these accounts ended, or was killed."""

    pairs: list[LeftPair] = field(default_factory=list)
    since_ns: int | None = None
    """Trades of the accounts from then on are compared with the journal; None: it knows no run on them."""
    asked_ns: int | None = None
    """When the venues were first asked for those trades: what came after that is still to be found. None: not yet."""
    fill_ids: set[tuple[str, str]] = field(default_factory=set)
    """Instrument and fill id of every fill since then that the journal has, and of others' that a start was told of."""
    payments: set[tuple[str, int]] = field(default_factory=set)
    """Instrument and time of every funding payment since then that the journal has."""
    missing_parts: list["MissingPart"] = field(default_factory=list)
    """What of such payments and events a crash took: `write_missing` makes up for it."""
    orders_over: dict[str, str] = field(default_factory=dict)
    """Orders of pairs that are over, by client order id, and whose: what is filled of them now belongs to nobody."""
    take_up: Callable[[str], LeftPair | None] = lambda pair_id: None
    """One of those that are over, as it was; None where it is not this run's to go on with."""
    lately: list[LeftPair] = field(default_factory=list)
    """Pairs that ended since then: funding of what they held may still be told."""
    reopened: list[str] = field(default_factory=list)
    """Pairs that were over and have been taken up: they are counted again once they are over again."""
    told: list[str] = field(default_factory=list)
    """A line for each pair that cannot be taken over here."""


def left_behind(
    data_dir: Path,
    accounts: Mapping[str, str] | None,
    instruments: Sequence[Instrument],
    now_ns: int | None = None,
) -> LeftBehind:
    """What a run on `accounts` (venue -> whose) finds; None: on accounts that nobody had before it.

    `now_ns`: a clock that was set back has dated records after it, and venues are asked from before it all the same.

    Raises:
        StorageError: If the journal cannot be read.
    """
    with JournalReader.open(data_dir) as reader:
        runs = reader.runs()
        mine = [run for run in runs if accounts and is_on(run, accounts)]
        if not mine or mine[-1] is not runs[-1]:
            told = left_open(data_dir)
            if not mine:
                return LeftBehind(told=told)
        else:
            told = []
        replay = JournalReplay({one.id: one for one in instruments})
        parts: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
        named: dict[tuple[str, str], MissingPart] = {}
        fills: set[tuple[str, str]] = set()
        # Runs that had more venues count too: they may have taken over what these left, and ended it.
        beside = [run for run in runs if shares(run, accounts or {})]
        last_ns = asked_since_ns(reader, beside)
        since_ns = max(0, (last_ns if now_ns is None else min(last_ns, now_ns)) - BEFORE_NS)
        found = LeftBehind(told=told, since_ns=since_ns)
        read = needed(reader, beside, since_ns)
        for run in read:
            for record in reader.records(run.run_id, *KINDS):
                replay.take(record)
                _note(found, record.kind, record.key, record.ts_ns, record.body)
                if record.kind is RecordKind.FUNDING:
                    parts.setdefault((record.key, record.ts_ns), []).append(record.body)
                elif record.kind is RecordKind.FILL and (others := record.body.get(BESIDE)) is not None:
                    fills.add(_name(record.body))
                    named |= {_name(one): _missing_fill(one, record.ts_ns) for one in others}
        found.missing_parts = [part for (key, ts_ns), told in parts.items() for part in _missing(key, ts_ns, told)]
        found.missing_parts += [part for name, part in named.items() if name not in fills]
        for part in found.missing_parts:
            replay.take(part)
        found.orders_over = replay.orders_over()
        found.pairs = replay.left({run.run_id for run in mine})
        # One whose beginning was not read is told of in part: it would be taken for what it never was.
        whole = {run.run_id for run in mine} & {run.run_id for run in read}
        found.take_up = lambda pair_id: _taken_up(replay, pair_id) if begun_by(pair_id) in whole else None
        lately = (found.take_up(pair_id) for pair_id in replay.over_since(since_ns))
        found.lately = [left for left in lately if left is not None and not isinstance(left.pair, Chain)]
        return found


def write_missing(journal: Journal, left: LeftBehind) -> None:
    """Write down what a crash took, so that the parts of a payment sum to what the venue paid, and fills to what it
    traded."""
    for part in left.missing_parts:
        journal.record(part.kind, part.key, part.ts_ns, part.body)


def in_order_of_adoption(pairs: Sequence[LeftPair]) -> list[LeftPair]:
    """Those that are held first: one that a late fill has opened again is closed beside the one that its route has."""
    return sorted(pairs, key=lambda left: left.pair.state is PairState.CLOSING)


def _taken_up(replay: JournalReplay, pair_id: str) -> LeftPair | None:
    try:
        left = replay.rebuilt(pair_id)
    except StorageError:  # it is over: what an older version wrote of it stands in nobody's way
        return None
    return None if left.pair.close_reason == ABANDONED else left


def _missing(key: str, ts_ns: int, told: Sequence[Mapping[str, Any]]) -> Iterator[MissingPart]:
    """The parts of one payment that its records name, and that none of them is."""
    written = {body["pair"] for body in told}
    for whose, amount in told[0].get("parts", ()):
        if whose not in written:
            # Alone, and not of all: a later start may read this part and not the run that wrote the others.
            part = {name: value for name, value in told[0].items() if name != "parts"}
            yield MissingPart(key, ts_ns, {**part, "pair": whose, "payment": amount})


def _missing_fill(body: Mapping[str, Any], ts_ns: int) -> MissingPart:
    return MissingPart(body["fill_id"], ts_ns, {**body, BESIDE: ()}, RecordKind.FILL)


def _name(body: Mapping[str, Any]) -> tuple[str, str]:
    """Instrument and fill id."""
    return f"{body['instrument']['venue']}:{body['instrument']['symbol']}", body["fill_id"]


def _note(found: LeftBehind, kind: RecordKind, key: str, ts_ns: int, body: Mapping[str, Any]) -> None:
    if found.since_ns is None or ts_ns < found.since_ns - BEFORE_NS:
        return
    if kind is RecordKind.FUNDING:
        found.payments.add((key, ts_ns))
    elif kind is RecordKind.FILL:
        found.fill_ids.add(_name(body))
