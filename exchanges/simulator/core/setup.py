"""How customers of an exchange have set up account and key; faults change it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Setup:
    """The same for every customer."""

    may_withdraw: bool = True
    may_trade: bool = True
    is_ip_bound: bool = False
    is_hedge: bool = False
    """Position mode: a long and a short position side by side. Binance takes no order then that names neither; Bybit's
    are taken as in one-way mode."""
    is_multi_asset: bool = False
