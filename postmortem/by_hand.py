"""What a person did with the accounts from Python (`docs/actions.md`): orders and transfers, run by run."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.ports import RecordKind
from bot.storage.queries import JournalReader, Run
from bot.text import inert
from postmortem.exact import exact

BY_HAND = "by hand"
"""The strategy that such a run says in its first record."""


class HandOrder(BaseModel):
    """An order in its newest state."""

    model_config = ConfigDict(frozen=True)

    client_order_id: str
    instrument: str
    side: str
    quantity: Decimal
    """Venue units, as `filled`."""
    status: str
    filled: Decimal
    notional: Decimal
    """Price times quantity of its fills, summed; quote units."""
    fees: dict[str, Decimal]
    """By asset; positive was paid."""
    ts_ns: int


class HandTransfer(BaseModel):
    """A transfer in its newest state."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    """`withdrawal`, or `internal`: between wallets of an account."""
    venue: str
    asset: str
    amount: Decimal
    """What left, its fee included."""
    to: str
    """The allow-list's name of the address, or the wallet."""
    state: str
    received: Decimal | None
    """Units of the asset; None: not told."""
    ts_ns: int


class HandRun(BaseModel):
    """One use of the accounts."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    market: str
    real_money: bool
    started_ns: int
    orders: tuple[HandOrder, ...]
    transfers: tuple[HandTransfer, ...]


def hand_runs(reader: JournalReader, since_ns: int | None = None) -> Iterator[HandRun]:
    """Every use of the accounts by hand that changed something, oldest first; with `since_ns` those from then on.

    Raises:
        StorageError: If the journal is damaged.
    """
    for run in reader.runs(since_ns):
        if run.start.get("strategy") == BY_HAND:
            found = _read(reader, run)
            if found.orders or found.transfers:
                yield found


def _read(reader: JournalReader, run: Run) -> HandRun:
    orders: dict[str, HandOrder] = {}
    transfers: dict[str, HandTransfer] = {}
    for record in reader.records(run.run_id, RecordKind.ORDER, RecordKind.FILL, RecordKind.TRANSFER):
        body = record.body
        if record.kind is RecordKind.TRANSFER:
            transfers[record.key] = _transfer(record.key, body, record.ts_ns)
        elif record.kind is RecordKind.ORDER:
            before = orders.get(record.key)
            orders[record.key] = _order(body, before, record.ts_ns)
        elif body["client_order_id"] in orders:
            orders[body["client_order_id"]] = _filled(orders[body["client_order_id"]], body)
    return HandRun(
        run_id=run.run_id,
        market=str(run.start.get("market")),
        real_money=bool(run.start.get("real_money")),
        started_ns=run.started_ns,
        orders=tuple(orders.values()),
        transfers=tuple(transfers.values()),
    )


def _order(body: Mapping[str, Any], before: HandOrder | None, ts_ns: int) -> HandOrder:
    if before is not None:
        return before.model_copy(update={"status": body["status"]})
    instrument = body["instrument"]
    return HandOrder(
        client_order_id=body["client_order_id"],
        instrument=f"{instrument['venue']} {instrument['symbol']}",
        side=body["side"],
        quantity=body["quantity"],
        status=body["status"],
        filled=Decimal(0),
        notional=Decimal(0),
        fees={},
        ts_ns=ts_ns,
    )


def _filled(order: HandOrder, body: Mapping[str, Any]) -> HandOrder:
    with exact():
        quantity, fee = Decimal(body["quantity"]), Decimal(body["fee"])
        fees = {**order.fees, body["fee_asset"]: order.fees.get(body["fee_asset"], Decimal(0)) + fee}
        notional = order.notional + Decimal(body["price"]) * quantity
        return order.model_copy(update={"filled": order.filled + quantity, "notional": notional, "fees": fees})


def _transfer(id_: str, body: Mapping[str, Any], ts_ns: int) -> HandTransfer:
    received = body.get("received")
    return HandTransfer(
        id=id_,
        kind=body["kind"],
        venue=body["venue"],
        asset=body["asset"],
        amount=body["amount"],
        to=body.get("to") or body.get("target") or "",
        state=body["state"],
        received=None if received is None else Decimal(received),
        ts_ns=ts_ns,
    )


def hand_lines(run: HandRun) -> Iterator[str]:
    """The same for a person, a line each."""
    money = "REAL MONEY" if run.real_money else "no real money"
    yield f"by hand     {inert(run.market).upper()} market, {money}, run {inert(run.run_id)}"
    for one in run.orders:
        fees = ", ".join(f"{amount:f} {inert(asset)}" for asset, amount in one.fees.items()) or "none"
        told = f"{one.filled:f} filled for {one.notional:f}, fees {fees}"
        yield f"            {inert(one.side)} {one.quantity:f} {inert(one.instrument)}: {inert(one.status)}, {told}"
    for move in run.transfers:
        arrived = "" if move.received is None else f", {move.received:f} arrived"
        what = f"{inert(move.kind)} of {move.amount:f} {inert(move.asset)} from {inert(move.venue)}"
        yield f"            {what} to {inert(move.to)}: {inert(move.state)}{arrived}"
