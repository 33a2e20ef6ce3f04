"""Which earlier runs a start has to know of: those on its accounts, and those that had some of these among others.

Venues come and go in the settings. A run on more of them takes over what one on fewer left, and closes it; one on fewer
cannot take over what one on more left, and must not hide it from the next.
"""

from collections.abc import Mapping, Sequence

from bot.ports import RecordKind
from bot.storage.queries import JournalReader, Run

ADOPTED = "adopted"
"""Key of the event that names every pair that a run took over from those before it."""
_ASKED_NS = 60_000_000_000
"""A run that went on for so long has been told what it asked the venues for at its start."""


def is_on(run: Run, accounts: Mapping[str, str]) -> bool:
    """Whether every account of that run is one of these (venue -> whose)."""
    told = _accounts(run)
    return bool(told) and told.items() <= accounts.items()


def shares(run: Run, accounts: Mapping[str, str]) -> bool:
    """Whether one of its accounts is one of these (venue -> whose)."""
    return bool(_accounts(run).items() & accounts.items())


def agrees(run: Run, accounts: Mapping[str, str]) -> bool:
    """Whether it had one of these accounts at least, and no other at any of their venues."""
    told = _accounts(run)
    return shares(run, accounts) and all(accounts.get(venue, whose) == whose for venue, whose in told.items())


def has_account(run: Run, venue: str, accounts: Mapping[str, str]) -> bool:
    """Whether its money at a venue was the same; paper money has no account there, and is one."""
    told = _accounts(run)
    if venue in accounts or venue in told:
        return told.get(venue) == accounts.get(venue)
    return is_on(run, accounts)


def asked_since_ns(reader: JournalReader, runs: Sequence[Run]) -> int:
    """Until when the venues have told what became of the accounts, UTC ns: by the last of `runs` that asked.

    One that was refused, or killed within its first minute, may have heard nothing: what fell due before it is news.
    """
    since_ns = runs[-1].last_ns
    for run in reversed(runs):
        since_ns = min(since_ns, run.last_ns)
        if run.last_ns - run.market_started_ns >= _ASKED_NS and _named(reader, run) is not None:
            break
    return since_ns


def needed(reader: JournalReader, runs: Sequence[Run], since_ns: int) -> Sequence[Run]:
    """The newest of `runs`, back to those that said what they took over, and to the beginnings of that.

    A run is left out where a later one has said it for all its accounts. Those that were active after `since_ns` are
    among them: what they have written down is not news.
    """
    first = next((index for index, run in enumerate(runs) if run.last_ns >= since_ns), len(runs))
    said: list[Mapping[str, str]] = []
    for at in range(len(runs) - 1, -1, -1):
        if any(is_on(runs[at], accounts) for accounts in said):
            continue
        first = min(first, at)
        named = _named(reader, runs[at])
        if named is not None:
            begun = {begun_by(pair_id) for pair_id in named}
            first = min([first, *(index for index, run in enumerate(runs) if run.run_id in begun)])
            said.append(_accounts(runs[at]))
    return runs[first:]


def begun_by(pair_id: str) -> str:
    """The run that opened a pair or a chain."""
    return pair_id.rpartition("-")[0]


def _named(reader: JournalReader, run: Run) -> Sequence[str] | None:
    """The pairs that it took over; None: it did not get so far."""
    events = reader.records(run.run_id, RecordKind.EVENT)
    named: list[Sequence[str]] = [record.body["pairs"] for record in events if record.key == ADOPTED]
    return named[-1] if named else None


def _accounts(run: Run) -> Mapping[str, str]:
    told = run.start.get("accounts")
    return told if isinstance(told, Mapping) else {}
