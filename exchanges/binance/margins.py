"""Binance's margin figures of USDⓈ-M as ours: positions, the wallet's sums by asset, brackets.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures (Position Information V3, Account
Information V3, Notional and Leverage Brackets).
"""

from pydantic import TypeAdapter

from bot.domain.margin import MarginTiers, PositionMargin, WalletMargin
from exchanges.binance.private_schemas import FuturesAccount, MarginRow, PositionRow, SymbolBrackets

FUTURES_ACCOUNT = TypeAdapter(FuturesAccount)
BRACKETS: TypeAdapter[list[SymbolBrackets]] = TypeAdapter(list[SymbolBrackets])


def position_margin(row: PositionRow | None) -> PositionMargin | None:
    """What a row of `positionRisk` says of an open position; None of one that is flat."""
    if row is None or not row.quantity:
        return None
    return PositionMargin(
        maintenance=row.maintenance, mark_price=row.mark_price, liquidation_price=row.liquidation_price
    )


def wallet_margin(wallet: str, row: MarginRow) -> WalletMargin:
    """What `account` says of one asset: each is margin for what is settled in it."""
    return WalletMargin(wallet=wallet, asset=row.asset, equity=row.equity, maintenance=row.maintenance)


def tiers_of(row: SymbolBrackets) -> MarginTiers:
    """A symbol's brackets.

    Raises:
        ValueError: If they are none.
    """
    return MarginTiers([(one.floor, one.ratio, one.deduction) for one in row.brackets])
