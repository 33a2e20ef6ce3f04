"""The income of a USDⓈ-M account, told from its changes and its fills."""

from collections.abc import Iterable
from decimal import Decimal

from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import wallet_segment
from exchanges.simulator.binance.gateway import Call
from exchanges.simulator.binance.numbers import milliseconds, money
from exchanges.simulator.binance.orders import page, time_filter
from exchanges.simulator.core.values import AccountChanged, Cause

_INCOME = {Cause.FUNDING: "FUNDING_FEE", Cause.TRANSFER: "TRANSFER", Cause.INSURANCE: "INSURANCE_CLEAR"}
"""Liquidations and ADL are told by their fills: profit and commission."""


def income(call: Call) -> list[dict[str, object]]:
    """Funding, transfers, realised profit and commissions, oldest first."""
    within = time_filter(call)
    limit, kind = call.parameters.limit(100, 1000), call.parameters.text("incomeType")
    line = call.line_if_named()
    rows = [*_changes(call), *_from_fills(call)]
    rows.sort(key=lambda row: int(str(row["time"])))
    for number, row in enumerate(rows, 1):
        row["tranId"] = str(9_000_000_000 + number)
    chosen = [
        row
        for row in rows
        if (line is None or row["symbol"] == line.symbol)
        and kind in ("", row["incomeType"])
        and within(int(str(row["time"])) * 1_000_000)
    ]
    return page(call, chosen, limit, "")


def _income(symbol: str, kind: str, amount: Decimal, asset: str, ts_ns: int, trade: object) -> dict[str, object]:
    return {
        "symbol": symbol, "incomeType": kind, "income": money(amount), "asset": asset, "info": kind,
        "time": milliseconds(ts_ns), "tranId": "", "tradeId": trade,
    }  # fmt: skip


def _changes(call: Call) -> Iterable[dict[str, object]]:
    for event in call.account.income():
        kind = _INCOME.get(event.cause) if isinstance(event, AccountChanged) else None
        if kind is None or not isinstance(event, AccountChanged):
            continue
        wallets = {wallet_segment(one.wallet) for one in event.balances}
        if Segment.LINEAR.value in wallets:
            line = call.desk.lines.get(event.listing) if event.listing is not None else None
            yield _income(line.symbol if line else "", kind, event.amount, event.asset, event.ts_ns, "")


def _from_fills(call: Call) -> Iterable[dict[str, object]]:
    for line in call.desk.segment_lines(Segment.LINEAR):
        settle = line.instrument.settle or line.instrument.quote
        for fill in call.account.fills(line.index):
            yield _income(line.symbol, "COMMISSION", -fill.fee, fill.fee_asset, fill.ts_ns, fill.trade_id)
            if fill.realised:
                yield _income(line.symbol, "REALIZED_PNL", fill.realised, settle, fill.ts_ns, fill.trade_id)
