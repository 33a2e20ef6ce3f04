"""Kraken's own host. It has no test system.

Source: https://docs.kraken.com/api/docs/guides/spot-rest-intro.
"""

from collections.abc import Mapping

REST = "https://api.kraken.com"

SIGNED_FOR: Mapping[str, tuple[str, ...]] = {"live": (REST,)}
"""Market -> every host that a key of it may be used at."""
