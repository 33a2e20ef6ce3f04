"""On which chains money moves in the simulation, at what price and speed.

Fees, minimums and confirmations are plausible figures of 2026, not either venue's price list: they differ by source and
change weekly. Block times are the chains' averages.
"""

from collections.abc import Sequence
from decimal import Decimal

from exchanges.simulator.core.values import Network

# network: confirmations, mean seconds between blocks
_CHAINS = {
    "bitcoin": (2, 600.0),
    "ethereum": (12, 12.0),
    "tron": (20, 3.0),
    "bsc": (15, 3.0),
    "solana": (32, 0.4),
}
# asset, network, fee, smallest withdrawal
_OFFERED = (
    ("BTC", "bitcoin", "0.0002", "0.001"),
    ("ETH", "ethereum", "0.0008", "0.002"),
    ("USDT", "tron", "1", "10"),
    ("USDT", "ethereum", "2", "10"),
    ("USDT", "bsc", "0.3", "10"),
    ("USDT", "solana", "0.5", "5"),
    ("BNB", "bsc", "0.0005", "0.01"),
)

_CONTRACTS = {
    ("USDT", "tron"): "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
    ("USDT", "ethereum"): "0xdac17f958d2ee523a2206206994597c13d831ec7",
    ("USDT", "bsc"): "0x55d398326f99059ff775485246999027b3197955",
    ("USDT", "solana"): "Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB",
}
"""Tether's own, as both venues list them."""

ADDRESS_FORM = {"bitcoin": "bc1q", "ethereum": "0x", "bsc": "0x", "tron": "T", "solana": "S"}
"""What an address of the network begins with; `ethereum` and `bsc` share theirs, as in life."""


def default_networks() -> Sequence[Network]:
    """Every asset's networks, one row each."""
    return tuple(
        Network(asset=asset, id=chain, withdraw_fee=Decimal(fee), min_withdraw=Decimal(least),
                confirmations=_CHAINS[chain][0], block_s=_CHAINS[chain][1],
                contract=_CONTRACTS.get((asset, chain), ""))
        for asset, chain, fee, least in _OFFERED
    )  # fmt: skip
