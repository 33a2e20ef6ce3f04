"""Which addresses are ever signed for."""

import pytest

from bot.errors import SettingsError
from exchanges.common.requests.loopback import require_loopback


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:80", "http://localhost:80/x", "ws://[::1]:9", "https://127.9.9.9", "WSS://LOCALHOST:1"]
)
def test_this_machine_is_taken(url: str) -> None:
    assert require_loopback(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://api.binance.com", "https://fapi.binance.com", "wss://stream.bybit.com", "https://api.bybit.com:443",
        "http://127.0.0.1@evil.example", "http://evil.example#127.0.0.1", "http://evil.example/?h=127.0.0.1",
        "http://127.0.0.1.nip.io", "http://localhost.evil.example", "http://0.0.0.0", "http://10.0.0.1", "http://2130706433",
        "http://[::ffff:8.8.8.8]", "ftp://127.0.0.1", "127.0.0.1:80", "", "http://", "http://[::1", "http://127.0.0.1:99999",
    ],
)  # fmt: skip
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="simulated exchanges only"):
        require_loopback(url)
