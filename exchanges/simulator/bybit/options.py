"""How a simulated Bybit behaves where the real one is a matter of measurement or of size."""

from dataclasses import dataclass

_KIB = 1024


@dataclass(frozen=True, slots=True)
class BybitOptions:
    """Delays, intervals and bounds; the defaults are Bybit's own where it documents them."""

    result_delay_s: float = 0.002
    """From the acknowledgement of an order to its result on the private topics."""
    best_interval_ms: int = 10
    """Of `orderbook.1`; 0 pushes every change of the top."""
    best_repeat_ms: int = 3_000
    """After so long without a change, `orderbook.1` is sent again with the same `u`."""
    limit_factor: float = 1.0
    """Times the documented limits of requests a second; 0 counts nothing."""
    requests_per_ip: int = 600
    """In `ip_window_s`; one more bans the address for `ip_ban_s`. 0 counts nothing."""
    ip_window_s: int = 5
    ip_ban_s: int = 600
    idle_s: float = 600.0
    """A socket that has sent nothing for so long is cut (`max_active_time` may say less)."""
    max_body: int = 64 * _KIB
    """Bytes of one request or incoming frame."""
    max_unsent: int = 8 * 1024 * _KIB
    """Bytes waiting for one slow reader; at more it is disconnected."""
    max_topic_characters: int = 21_000
    """Of all the topics of one public connection."""
    withdraw_interval_s: int = 10
    """Between two withdrawals of one coin on one chain."""
