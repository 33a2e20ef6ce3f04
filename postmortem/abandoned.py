"""Pairs that a person had the bot forget: named, with what the journal knew of them, and part of no figure."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from bot.text import inert
from postmortem.exact import exact, plain
from postmortem.figures import amounts_in_words, moment
from postmortem.model import AbandonedPair
from postmortem.story import PairStory, amounts_of


def abandoned_pairs(pairs: Iterable[PairStory]) -> tuple[AbandonedPair, ...]:
    """A line for each of them that was abandoned, in the order of their opening."""
    given_up = [pair for pair in pairs if pair.body.is_abandoned]
    return tuple(_line(pair) for pair in sorted(given_up, key=lambda pair: (pair.body.ts_open_ns, pair.body.pair)))


def _line(pair: PairStory) -> AbandonedPair:
    body, known = pair.body, pair.body.abandoned
    return AbandonedPair(
        pair=body.pair,
        route=body.route,
        ts_open_ns=body.ts_open_ns,
        abandoned_by=pair.told_by,
        ts_abandoned_ns=body.ts_close_ns,
        was=None if known is None else known.was,
        held=_held(pair) if known is None else known.held,
        orders=() if known is None else known.orders,
        by_asset=pair.flows(),
    )


def _held(pair: PairStory) -> str:
    """What its fills left, for a journal that does not say it: by instrument; of a chain by asset, wherever it lay."""
    with exact():
        if pair.body.is_chain:
            left = amounts_of([pair.flows()])
            words = [f"{plain(amount)} {asset}" for asset, amount in left.items() if amount > 0]
        else:
            by_instrument: defaultdict[str, Decimal] = defaultdict(Decimal)
            for fill, _ in pair.fills:
                by_instrument[fill.instrument.id] += fill.side.sign * fill.quantity
            signed = sorted(by_instrument.items())
            words = [f"{'+' * (amount > 0)}{plain(amount)} on {where}" for where, amount in signed if amount]
    return ", ".join(words) or "nothing"


def abandoned_line(line: AbandonedPair) -> str:
    """The same for a person."""
    said = f"was {inert(line.was)}, and " if line.was is not None else ""
    orders = f"; orders without a known end: {inert(', '.join(line.orders))}" if line.orders else ""
    cash = amounts_in_words(line.by_asset) or "nothing"
    when, by = moment(line.ts_abandoned_ns), f"at the start of run {inert(line.abandoned_by)}"
    return (
        f"abandoned   {inert(line.pair)}, opened {moment(line.ts_open_ns)}: forgotten {when} {by}, as a person asked "
        f"(reconciliation.pairs=abandon). By the journal it {said}held {inert(line.held)}{orders}. "
        f"Its cash until then: {cash}; in no figure above"
    )
