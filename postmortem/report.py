"""From the journal to a report: runs gathered, grouped by market, counted. Pure: the same records, the same report."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from bot.errors import SettingsError
from bot.storage.queries import JournalReader, Run
from bot.text import inert
from postmortem.by_hand import hand_runs
from postmortem.exact import exact, total
from postmortem.handovers import Handovers
from postmortem.market_report import market_report
from postmortem.model import Report
from postmortem.shadow import ShadowReport, shadow_report
from postmortem.story import RunStory, read_story

_ORDER = (
    "simulated", "simulated, shadow", "recorded", "backtest", "testnet", "testnet, shadow", "live, paper",
    "real, shadow", "real",
)  # fmt: skip
_OWN_TIME = ("recorded", "backtest")
"""Markets on a clock of their own."""


def build_report(reader: JournalReader, strategy: str, run: str | None = None, since_ns: int | None = None) -> Report:
    """What happened.

    Args:
        reader: The journal.
        strategy: Whose runs.
        run: Only this run: its id, or the start of it if no other run starts so.
        since_ns: UTC ns. Runs that were still active then; of runs in real time only what happened since then, and the
            pairs that had not ended by then, each whole. A recorded market has a time of its own, and its runs count
            whole.

    Raises:
        SettingsError: If `run` names no run, or several.
        StorageError: If the journal is damaged or not understood.
    """
    # A named run is looked for among all of them: it may be older than `since`.
    runs = [found for found in reader.runs(None if run else since_ns) if found.start.get("strategy") == strategy]
    chosen = runs if run is None else [named_run(runs, run, strategy)]
    groups: dict[tuple[str, bool], list[RunStory]] = {}
    handovers = Handovers(reader)
    for one in chosen:
        cut_ns = since_ns if one.start.get("market") not in _OWN_TIME else None
        story = read_story(reader, one, cut_ns, handovers)
        groups.setdefault(_market(story), []).append(story)
    with exact():
        markets = tuple(
            market_report(*group, groups[group], None if group[0] in _OWN_TIME else since_ns)
            for group in sorted(groups, key=_place)
        )
        lines = [line for m in markets for line in (*m.pairs, *m.open_pairs)]
        nets = [line.net for line in lines if line.net is not None]
        residual = _residual([*(line.bridge.residual for line in lines), *(net.residual for net in nets)])
    return Report(
        strategy=strategy,
        run=chosen[0].run_id if run is not None else None,
        since_ns=since_ns,
        markets=markets,
        shadow=tuple(_shadows(reader, groups, since_ns)),
        by_hand=tuple(hand_runs(reader, since_ns)) if run is None else (),
        residual=residual,
    )


def _shadows(
    reader: JournalReader, groups: Mapping[tuple[str, bool], Sequence[RunStory]], since_ns: int | None
) -> Iterator[ShadowReport]:
    for group in sorted(groups, key=_place):
        runs = [story.run for story in groups[group]]
        found = shadow_report(reader, group[0], runs, None if group[0] in _OWN_TIME else since_ns)
        if found is not None:
            yield found


def named_run(runs: Sequence[Run], prefix: str, strategy: str) -> Run:
    """The one run whose id starts with `prefix`; `strategy` is whose runs they are, for the words of the error.

    Raises:
        SettingsError: If none does, or several.
    """
    exactly = [run for run in runs if run.run_id == prefix]
    found = exactly or [run for run in runs if run.run_id.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(inert(run.run_id) for run in found[:5])
        raise SettingsError(f"--run {inert(prefix)}: {len(found)} runs start so ({ids}); write more of the id")
    newest = f"; the newest is {inert(runs[-1].run_id)}" if runs else "; none is recorded"
    raise SettingsError(f"--run {inert(prefix)}: no run of {inert(strategy)} starts so{newest}")


def _market(story: RunStory) -> tuple[str, bool]:
    real = story.start.real_money
    market = "real" if real else "live, paper" if story.start.market == "live" else story.start.market
    # The twins of paper orders are no part of what paper money earned, nor of what a run without --shadow did.
    return (f"{market}, shadow" if story.run.start.get("shadow_of") else market), real


def _place(group: tuple[str, bool]) -> tuple[int, str]:
    return (_ORDER.index(group[0]) if group[0] in _ORDER else len(_ORDER)), group[0]


def _residual(residuals: Iterable[Decimal]) -> Decimal:
    return total(abs(residual) for residual in residuals)
