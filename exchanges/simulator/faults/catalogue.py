"""Every fault that can be ordered, and what its order may say."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class FaultKind(StrEnum):
    """By the name that command line, settings and control endpoint use."""

    SILENCE = "silence"
    NO_DATA = "no-data"
    CUT = "cut"
    DAY_CUT = "day-cut"
    GAP = "gap"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CROSSED = "crossed"
    NOT_A_NUMBER = "not-a-number"
    EMPTY_FIELD = "empty-field"
    OVERSIZED = "oversized"
    TRUNCATED = "truncated"
    LATENCY = "latency"
    HTTP_429 = "http-429"
    HTTP_418 = "http-418"
    HTTP_403 = "http-403"
    HTTP_451 = "http-451"
    HTTP_503 = "http-503"
    LOST_ANSWER = "lost-answer"
    LOST_ORDER = "lost-order"
    LATE_FILL = "late-fill"
    FILL_ON_CANCEL = "fill-on-cancel"
    PARTIAL_THEN_REJECT = "partial-then-reject"
    DUPLICATE_FILL = "duplicate-fill"
    MISSING_FILL = "missing-fill"
    CLOCK_DRIFT = "clock-drift"
    LISTEN_KEY_EXPIRY = "listen-key-expiry"
    KEY_REVOKED = "key-revoked"
    MAINTENANCE = "maintenance"
    KEY_RIGHTS = "key-rights"
    HEDGE_MODE = "hedge-mode"
    MULTI_ASSET = "multi-asset"
    DELISTING = "delisting"
    WITHDRAWAL_HALT = "withdrawal-halt"
    WRONG_NETWORK = "wrong-network"
    WITHDRAWAL_FAILURE = "withdrawal-failure"
    WITHDRAWAL_FEE = "withdrawal-fee"
    LIQUIDATION = "liquidation"
    DELEVERAGING = "deleveraging"


class Realm(StrEnum):
    """Where a fault acts, and so what `match` is compared with."""

    FRAMES = "frames"
    """Stream frames on their way out; `match` is a text in the frame."""
    REQUESTS = "requests"
    """HTTP requests and socket order entry; `match` is a text in the path or the method's name."""
    ORDERS = "orders"
    """Orders and fills of accounts; `match` is a text in the listing's symbol (`BTC/USDT:USDT`)."""
    VENUE = "venue"
    """The venue itself; `match` is a text in the symbol, or the network's id, where the fault has one."""


@dataclass(frozen=True, slots=True)
class FaultInfo:
    """What a person may know of a fault before ordering it."""

    summary: str
    realm: Realm
    for_s: float = 10.0
    """Unless the order says otherwise; 0: it happens once, at its time."""
    amount: float | None = None
    """Unless the order says otherwise; None: it has none."""
    unit: str = ""
    """Of the amount."""
    venues: tuple[str, ...] = ("binance", "bybit")
    scheduled: bool = True
    """Whether a seeded schedule may choose it: not what an account cannot come back from by itself."""


_F, _R, _O, _V = Realm.FRAMES, Realm.REQUESTS, Realm.ORDERS, Realm.VENUE

CATALOGUE: Mapping[FaultKind, FaultInfo] = {
    FaultKind.SILENCE: FaultInfo("sockets stay open and nothing comes, not even pongs", _F),
    FaultKind.NO_DATA: FaultInfo("subscriptions are acknowledged and no data follows", _F),
    FaultKind.CUT: FaultInfo("connections end without a close frame: clients see 1006", _F, for_s=0),
    FaultKind.DAY_CUT: FaultInfo("the planned cut after 24 hours: a close frame with 1000", _F, for_s=0),
    FaultKind.GAP: FaultInfo("one frame in so many is left out", _F, amount=10, unit="frames"),
    FaultKind.DUPLICATE: FaultInfo("one frame in so many comes twice", _F, amount=10, unit="frames"),
    FaultKind.REORDER: FaultInfo("one frame in so many comes after the next one", _F, amount=10, unit="frames"),
    FaultKind.CROSSED: FaultInfo("best bids stand above best asks", _F),
    FaultKind.NOT_A_NUMBER: FaultInfo("prices and quantities say NaN", _F),
    FaultKind.EMPTY_FIELD: FaultInfo("prices and quantities are empty texts", _F),
    FaultKind.OVERSIZED: FaultInfo("every connection gets one valid frame of this size", _F, 0, 12, "MB"),
    FaultKind.TRUNCATED: FaultInfo("payloads end in the middle of their JSON", _F),
    FaultKind.LATENCY: FaultInfo("answers come this much later", _R, amount=2000, unit="ms"),
    FaultKind.HTTP_429: FaultInfo("too many requests, with Retry-After", _R, amount=5, unit="s until Retry-After ends"),
    FaultKind.HTTP_418: FaultInfo("the address is banned, with Retry-After", _R, for_s=30, amount=30, unit="s of ban"),
    FaultKind.HTTP_403: FaultInfo("a firewall answers with a page of HTML", _R),
    FaultKind.HTTP_451: FaultInfo("not available from this country", _R),
    FaultKind.HTTP_503: FaultInfo("the service is overloaded; nothing was executed", _R),
    FaultKind.LOST_ANSWER: FaultInfo("orders are accepted and the connection ends without an answer", _R),
    FaultKind.LOST_ORDER: FaultInfo("orders never arrive and the connection ends without an answer", _R),
    FaultKind.LATE_FILL: FaultInfo("orders are accepted, and meet the book this much later", _O, amount=3, unit="s"),
    FaultKind.FILL_ON_CANCEL: FaultInfo("a cancel comes too late: what was left of the order is filled first", _O),
    FaultKind.PARTIAL_THEN_REJECT: FaultInfo(
        "this part of an order is filled, the rest ends at once", _O, amount=0.37, unit="of the quantity"
    ),
    FaultKind.DUPLICATE_FILL: FaultInfo("fills are told twice on the private stream", _O),
    FaultKind.MISSING_FILL: FaultInfo("fills are not told on the private stream; REST knows them", _O),
    FaultKind.CLOCK_DRIFT: FaultInfo("the exchange's clock is this much ahead", _V, amount=1500, unit="ms"),
    FaultKind.LISTEN_KEY_EXPIRY: FaultInfo("listen keys expire now", _V, for_s=0, venues=("binance",)),
    FaultKind.KEY_REVOKED: FaultInfo("API keys are unknown from now on", _V, scheduled=False),
    FaultKind.MAINTENANCE: FaultInfo("everything but the system status is unavailable, sockets are closed", _V),
    FaultKind.KEY_RIGHTS: FaultInfo(
        "keys are `match`: trade (bound to an address, no withdrawals), withdraw (bound too), unbound or read-only",
        _V,
        scheduled=False,
    ),
    FaultKind.HEDGE_MODE: FaultInfo("accounts say that they are in hedge mode", _V, scheduled=False),
    FaultKind.MULTI_ASSET: FaultInfo(
        "accounts say that they are in multi-assets mode", _V, venues=("binance",), scheduled=False
    ),
    FaultKind.DELISTING: FaultInfo("the listing settles: no new orders, then no book", _V, scheduled=False),
    FaultKind.WITHDRAWAL_HALT: FaultInfo("the network `match` is suspended", _V, for_s=60),
    FaultKind.WRONG_NETWORK: FaultInfo(
        "the network `match` shows another contract, and what is sent on it is lost", _V, for_s=60, scheduled=False
    ),
    FaultKind.WITHDRAWAL_FAILURE: FaultInfo(
        "withdrawals on the network `match` are taken and given up, and their money comes back",
        _V,
        for_s=60,
        scheduled=False,
    ),
    FaultKind.WITHDRAWAL_FEE: FaultInfo(
        "withdrawals on the network `match` cost so much more than is told",
        _V,
        for_s=60,
        amount=0.5,
        unit="of the asset",
        scheduled=False,
    ),
    FaultKind.LIQUIDATION: FaultInfo("positions are liquidated", _V, for_s=0, scheduled=False),
    FaultKind.DELEVERAGING: FaultInfo("winning positions are deleveraged (ADL)", _V, for_s=0, scheduled=False),
}
"""Sources: the exchanges' documentation of error codes and streams, and what bots' issue trackers tell."""
