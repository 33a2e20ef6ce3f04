"""What the machine needs from others, as Protocols; `main.py` hands the parts to each other.

A **slot** is the small integer under which the engine knows one instrument of this run: the path from bytes to
decision indexes lists with it instead of hashing names.
"""

from bot.ports.account import AccountQuestions, HasAccounts, Holdings, OrderFound, PaysFunding, RebuiltFromFills
from bot.ports.journal import Journal, RecordKind, Spelled
from bot.ports.market import (
    FeedState,
    FrameDecoder,
    FrameTap,
    LiveVenueModule,
    Market,
    MarketEnd,
    MarketReader,
    MarketSink,
    VenueModule,
    Wiring,
)
from bot.ports.strategy import (
    ExitBounds,
    Holding,
    InstrumentView,
    NoTerms,
    RoundTripWatch,
    RouteTerms,
    RouteWatch,
    Statistics,
    Strategy,
    TransferEstimate,
)
from bot.ports.venue import (
    Actions,
    HasDeadManSwitch,
    OrderListener,
    PreparesOrders,
    QuoteDrivenVenue,
    ReadyOrder,
    TellsMargins,
    TellsStanding,
    TermsSource,
)

__all__ = [
    "AccountQuestions",
    "Actions",
    "ExitBounds",
    "FeedState",
    "FrameDecoder",
    "FrameTap",
    "HasAccounts",
    "HasDeadManSwitch",
    "Holding",
    "Holdings",
    "InstrumentView",
    "Journal",
    "LiveVenueModule",
    "Market",
    "MarketEnd",
    "MarketReader",
    "MarketSink",
    "NoTerms",
    "OrderFound",
    "OrderListener",
    "PaysFunding",
    "PreparesOrders",
    "QuoteDrivenVenue",
    "ReadyOrder",
    "RebuiltFromFills",
    "RecordKind",
    "RoundTripWatch",
    "RouteTerms",
    "RouteWatch",
    "Spelled",
    "Statistics",
    "Strategy",
    "TellsMargins",
    "TellsStanding",
    "TermsSource",
    "TransferEstimate",
    "VenueModule",
    "Wiring",
]
