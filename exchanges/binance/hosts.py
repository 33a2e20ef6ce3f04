"""Binance's own hosts, and those of its test systems.

Sources: https://developers.binance.com/docs (general information of spot, of USDⓈ-M and of their WebSocket APIs) and
https://testnet.binance.vision. The test systems know nothing of `/sapi`: no wallets, no transfers, no key's rights.
"""

from collections.abc import Mapping

Hosts = Mapping[str, str]
"""Segment -> base URL."""

REST: Hosts = {"spot": "https://api.binance.com", "linear": "https://fapi.binance.com"}
STREAM: Hosts = {"spot": "wss://stream.binance.com:9443", "linear": "wss://fstream.binance.com"}
PRIVATE: Hosts = {"spot": "wss://ws-api.binance.com", "linear": "wss://fstream.binance.com"}
ORDERS: Hosts = {"spot": "wss://ws-api.binance.com", "linear": "wss://ws-fapi.binance.com"}

TEST_REST: Hosts = {"spot": "https://testnet.binance.vision", "linear": "https://testnet.binancefuture.com"}
TEST_STREAM: Hosts = {"spot": "wss://stream.testnet.binance.vision", "linear": "wss://fstream.binancefuture.com"}
TEST_PRIVATE: Hosts = {"spot": "wss://ws-api.testnet.binance.vision", "linear": "wss://fstream.binancefuture.com"}
TEST_ORDERS: Hosts = {"spot": "wss://ws-api.testnet.binance.vision", "linear": "wss://testnet.binancefuture.com"}

SIGNED_FOR: Mapping[str, tuple[str, ...]] = {
    "live": (*REST.values(), *PRIVATE.values(), *ORDERS.values()),
    "testnet": (*TEST_REST.values(), *TEST_PRIVATE.values(), *TEST_ORDERS.values()),
}
"""Market -> every host that a key of it may be used at."""
