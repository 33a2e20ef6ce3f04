"""Bybit's margin figures as ours: positions, the unified account's sums, risk limits.

Source: https://bybit-exchange.github.io/docs/v5/position, .../v5/account/wallet-balance and .../v5/market/risk-limit.
"""

from collections.abc import Sequence

from bot.domain.margin import MarginTiers, PositionMargin, WalletMargin
from exchanges.bybit.private_schemas import PositionRow, RiskLimitRow, WalletRow
from exchanges.common.figures import figure


def position_margin(row: PositionRow | None) -> PositionMargin | None:
    """What a row says of an open position; None of one that is flat."""
    if row is None or not row.size:
        return None
    return PositionMargin(
        maintenance=row.maintenance, mark_price=row.mark_price, liquidation_price=row.liquidation_price
    )


def wallet_margin(wallet: str, row: WalletRow) -> WalletMargin | None:
    """The account's sums in USD; None where it has none (isolated margin)."""
    if not row.equity_words and not row.maintenance_words:
        return None
    equity, maintenance = figure(row.equity_words), figure(row.maintenance_words)
    return WalletMargin(wallet=wallet, asset=None, equity=equity, maintenance=maintenance)


def tiers_of(rows: Sequence[RiskLimitRow]) -> MarginTiers:
    """One symbol's risk limits: each row ends where the next begins.

    Raises:
        ValueError: If they are no tiers, or their unit cannot be told.
    """
    ordered = sorted(rows, key=lambda row: row.up_to)
    floors = [0.0, *(row.up_to for row in ordered)]
    return MarginTiers(
        [
            (floor, row.maintenance / _unit(row), float(row.deduction))
            for floor, row in zip(floors, ordered, strict=False)
        ]
    )


def _unit(row: RiskLimitRow) -> float:
    """1 where margins are ratios, 100 where they are percentages: Bybit has printed both.

    The initial margin is one over the leverage.
    """
    product = row.initial * row.leverage
    for unit in (1.0, 100.0):
        if 0.5 * unit <= product <= 2.0 * unit:
            return unit
    raise ValueError("initial margin and leverage do not belong together")
