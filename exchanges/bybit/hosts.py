"""Bybit's own hosts, and those of its testnet.

Source: https://bybit-exchange.github.io/docs/v5/guide (base endpoints).
"""

from collections.abc import Mapping

REST, STREAM = "https://api.bybit.com", "wss://stream.bybit.com"
TEST_REST, TEST_STREAM = "https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"

SIGNED_FOR: Mapping[str, tuple[str, ...]] = {"live": (REST, STREAM), "testnet": (TEST_REST, TEST_STREAM)}
"""Market -> every host that a key of it may be used at."""
