"""What one run recorded, gathered pair by pair."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from bot.domain.instrument import Segment
from bot.ports import RecordKind
from bot.storage.queries import JournalReader, Record, Run
from postmortem.bodies import (
    BalanceBody,
    DecisionBody,
    FillBody,
    FundingBody,
    OrderBody,
    PairBody,
    RunStart,
    read,
    validate,
)
from postmortem.exact import ZERO, exact, from_float, quotient
from postmortem.handovers import OF_PAIRS, Handovers, begun_by

Amounts = dict[str, Decimal]
_BY_THEMSELVES = (RecordKind.DECISION, RecordKind.ORDER, RecordKind.EVENT)


@dataclass(slots=True)
class PairStory:
    """Everything that belongs to one pair."""

    body: PairBody
    """Its newest state."""
    fills: list[tuple[FillBody, bool]] = field(default_factory=list)
    """In order, each with whether closing had been decided when it came."""
    funding: list[FundingBody] = field(default_factory=list)
    has_closing_begun: bool = False
    told_by: str = ""
    """The run that recorded its newest state."""

    @property
    def holds_position(self) -> bool:
        """Whether a derivative position is left: then its cash flows are no profit yet."""
        with exact():
            left: defaultdict[str, Decimal] = defaultdict(Decimal)
            for fill, _ in self.fills:
                if fill.instrument.segment is not Segment.SPOT:
                    left[fill.instrument.id] += fill.side.sign * fill.quantity
            return any(left.values())

    @property
    def is_missed(self) -> bool:
        """Over without a fill; of an abandoned one nobody knows."""
        return self.body.is_over and not self.body.is_abandoned and not self.fills

    @property
    def is_realised(self) -> bool:
        """Over, and nothing left but perhaps a rest of spot base, which is an amount of that asset.

        Never one that was abandoned: the person closed it, and what that brought is not recorded.
        """
        return self.body.is_over and not self.body.is_abandoned and not self.holds_position

    def flows(self) -> Amounts:
        """All its cash by asset, fees and funding included: the profit, once it is realised."""
        with exact():
            flows: defaultdict[str, Decimal] = defaultdict(Decimal)
            for fill, _ in self.fills:
                _add_trade(flows, fill)
                flows[fill.fee_asset] -= fill.fee
            for payment in self.funding:
                flows[payment.asset] += payment.payment
            for travel in self.body.travels:
                if travel.is_over:
                    flows[travel.asset] -= travel.left - travel.received
            return {asset: amount for asset, amount in flows.items() if amount}

    def between_venues(self) -> Amounts:
        """What transfers took from a wallet and have not brought to another."""
        with exact():
            return amounts_of([{one.asset: one.left} for one in self.body.travels if not one.is_over])


@dataclass(slots=True)
class RunStory:
    """One run, gathered."""

    run: Run
    start: RunStart
    marks: dict[str, Decimal]
    """By instrument id: the mids that the run ended with."""
    pairs: dict[str, PairStory] = field(default_factory=dict)
    stray_fills: list[FillBody] = field(default_factory=list)
    """Of no pair that is known: they count in the wallets and in no profit."""
    stray_funding: list[FundingBody] = field(default_factory=list)
    """The same of payments."""
    since_ns: int | None = None
    """What is counted by itself, and not with its pair, counts from then on."""
    funding_of_no_pair: list[FundingBody] = field(default_factory=list)
    """Those of `stray_funding` that count."""
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By route and reason."""
    best_gross_bps: dict[str, float] = field(default_factory=dict)
    """By route: the best edge that a decision saw."""
    needed_bps: dict[str, float] = field(default_factory=dict)
    """By route: break-even at that decision."""
    order_states: dict[str, str] = field(default_factory=dict)
    balances: dict[str, Amounts] = field(default_factory=dict)
    """`start` and `end`: totals by asset over all wallets."""
    errors: int = 0
    """Events of level error."""
    fee_changes: list[tuple[int, str]] = field(default_factory=list)
    """When fees were found to be others than before (UTC ns), and which, in words."""
    adopted: set[str] = field(default_factory=set)
    """Pairs that an earlier run began: told here as a whole."""
    handed_over: int = 0
    """Pairs that a later run took over: told there."""
    _seen_fills: set[tuple[str, str]] = field(default_factory=set)

    def unexplained(self) -> Amounts | None:
        """Change of the wallets that fills, fees and funding do not explain, by asset; None where it cannot be told.

        It cannot while a derivative position is open (its gain is not in the wallet yet), where a pair was taken over
        or handed over (a part of its cash moved in another run), or where an end is missing.
        """
        if self.adopted or self.handed_over:
            return None
        if not {"start", "end"} <= self.balances.keys() or self._holds_positions():
            return None
        with exact():
            change: defaultdict[str, Decimal] = defaultdict(Decimal, self.balances["end"])
            for asset, amount in self.balances["start"].items():
                change[asset] -= amount
            for asset, amount in self._all_flows().items():
                change[asset] -= amount
            return {asset: amount for asset, amount in change.items() if amount}

    def _holds_positions(self) -> bool:
        return bool(self.stray_fills) or any(pair.holds_position for pair in self.pairs.values())

    def _all_flows(self) -> Amounts:
        flows: defaultdict[str, Decimal] = defaultdict(Decimal)
        for pair in self.pairs.values():
            for asset, amount in pair.flows().items():
                flows[asset] += amount
            for asset, amount in pair.between_venues().items():
                flows[asset] -= amount
        for payment in self.stray_funding:
            flows[payment.asset] += payment.payment
        return flows


def read_story(
    reader: JournalReader, run: Run, since_ns: int | None = None, handovers: Handovers | None = None
) -> RunStory:
    """Gather a run.

    Args:
        reader: Where it was recorded.
        run: Which.
        since_ns: Decisions, orders, errors, changes of fees and payments of no pair before it are not counted; pairs
            are gathered whole.
        handovers: Of the journal; one for all runs reads each of them once. None: one of its own.

    Raises:
        StorageError: If a record is damaged or not understood.
    """
    marks = (run.end or {}).get("marks", {})
    story = RunStory(
        run=run,
        start=validate(run.start, RunStart, f"the start of run {run.run_id}"),
        marks={id_: from_float(mid) if isinstance(mid, float) else Decimal(mid) for id_, mid in marks.items() if mid},
        since_ns=since_ns,
    )
    handovers = handovers or Handovers(reader)
    for record in reader.records(run.run_id):
        if record.kind in _BY_THEMSELVES and since_ns is not None and record.ts_ns < since_ns:
            continue
        pair = record.body.get("pair") if record.kind in OF_PAIRS else None
        if pair and pair not in story.pairs and begun_by(pair) not in ("", run.run_id):
            _take_beginning(reader, story, pair, handovers)
        take = _TAKERS.get(record.kind)
        if take is not None:
            take(story, record)
    for pair in story.pairs.keys() & handovers.told_later(run.run_id):
        del story.pairs[pair]
        story.handed_over += 1
    return story


def _take_beginning(reader: JournalReader, story: RunStory, pair: str, handovers: Handovers) -> None:
    """What earlier runs recorded of a pair that this one took over."""
    earlier = handovers.before(story.run.run_id)
    if begun_by(pair) not in [run.run_id for run in earlier]:
        return
    story.adopted.add(pair)
    for run in earlier:
        for record in reader.records(run.run_id, *OF_PAIRS):
            if record.body.get("pair") == pair:
                _TAKERS[record.kind](story, record)


def _take_pair(story: RunStory, record: Record) -> None:
    body = read(record, PairBody)
    pair = story.pairs.setdefault(body.pair, PairStory(body))
    pair.body, pair.told_by = body, record.run_id
    pair.has_closing_begun |= body.state in ("closing", "closed")


def _take_fill(story: RunStory, record: Record) -> None:
    fill = read(record, FillBody)
    identity = (fill.instrument.id, fill.fill_id)
    if identity in story._seen_fills:  # told twice, done once
        return
    story._seen_fills.add(identity)
    pair = story.pairs.get(fill.pair or "")
    if pair is None or not _fits(pair.body, fill):
        story.stray_fills.append(fill)
    else:
        pair.fills.append((fill, pair.has_closing_begun))


def _fits(pair: PairBody, fill: FillBody) -> bool:
    """Whether its cash is in the pair's currency: only then can it be added up with the rest."""
    if pair.is_chain:
        return any(words[0] == "trade" and words[1] == fill.instrument.id for words in pair.legs)
    return fill.instrument.quote == pair.quote_asset and fill.instrument.base == pair.base_asset


def _take_funding(story: RunStory, record: Record) -> None:
    payment = read(record, FundingBody)
    pair = story.pairs.get(payment.pair or "")
    if pair is None:
        story.stray_funding.append(payment)
        if story.since_ns is None or record.ts_ns >= story.since_ns:
            story.funding_of_no_pair.append(payment)
    else:
        pair.funding.append(payment)


def _take_decision(story: RunStory, record: Record) -> None:
    decision = read(record, DecisionBody)
    if decision.outcome == "refused":
        story.refusals[decision.route, decision.reason] += 1
    gross = decision.gross_bps
    # A closing decision's edge is that of leaving; only offers to enter are compared with what they need.
    if (
        gross is None
        or decision.outcome == "closed"
        or gross <= story.best_gross_bps.get(decision.route, float("-inf"))
    ):
        return
    story.best_gross_bps[decision.route] = gross
    if decision.needed_bps is not None:
        story.needed_bps[decision.route] = decision.needed_bps


def _take_order(story: RunStory, record: Record) -> None:
    order = read(record, OrderBody)
    story.order_states[order.client_order_id] = order.status


def _take_balance(story: RunStory, record: Record) -> None:
    body = read(record, BalanceBody)
    with exact():
        totals: defaultdict[str, Decimal] = defaultdict(Decimal)
        for line in body.balances:
            totals[line.asset] += line.total
        story.balances[body.at] = dict(totals)


def _take_event(story: RunStory, record: Record) -> None:
    story.errors += record.body.get("level") == "error"
    if "fees" in record.body:
        story.fee_changes.append((record.ts_ns, str(record.body.get("text"))))


_TAKERS = {
    RecordKind.PAIR: _take_pair,
    RecordKind.FILL: _take_fill,
    RecordKind.FUNDING: _take_funding,
    RecordKind.DECISION: _take_decision,
    RecordKind.ORDER: _take_order,
    RecordKind.BALANCE: _take_balance,
    RecordKind.EVENT: _take_event,
}


def cash_of(fill: FillBody) -> list[tuple[str, Decimal]]:
    """What a fill moves, as (asset, amount), its fee aside; call it inside `exact()`."""
    instrument = fill.instrument
    contracts = fill.side.sign * fill.quantity * instrument.contract_multiplier
    if instrument.segment is Segment.INVERSE:
        return [(instrument.settle or instrument.base, quotient(contracts, fill.price))]
    paid = (instrument.settle or instrument.quote, -contracts * fill.price)
    return [(instrument.base, contracts), paid] if instrument.segment is Segment.SPOT else [paid]


def _add_trade(flows: defaultdict[str, Decimal], fill: FillBody) -> None:
    for asset, amount in cash_of(fill):
        flows[asset] += amount


def amounts_of(parts: list[Mapping[str, Decimal]]) -> Amounts:
    """Sums by asset, zeros left out."""
    with exact():
        sums: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
        for part in parts:
            for asset, amount in part.items():
                sums[asset] += amount
        return {asset: amount for asset, amount in sorted(sums.items()) if amount}
