"""What happens on a simulated exchange, before any protocol spells it.

Prices are whole ticks and quantities whole lots of the instrument: integers, so that a book can be rebuilt exactly and
a frame printed without rounding. Money (fees, balances, profit) is `Decimal`. Times are UTC ns on the exchange's
own clock.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from bot.domain.instrument import Instrument
from bot.domain.order import Side

Levels = tuple[tuple[int, int], ...]
"""(price in ticks, quantity in lots); 0 lots removes the price."""


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument as an exchange lists it."""

    instrument: Instrument
    symbol: str
    """The venue's own spelling, `BTCUSDT`."""
    price_digits: int
    """Decimals that the venue prints prices with."""
    quantity_digits: int


class TradingStatus(StrEnum):
    """Whether an instrument trades."""

    TRADING = "trading"
    HALTED = "halted"
    SETTLING = "settling"
    """Being delisted: only reducing orders."""


# What the market does; everybody sees it.


@dataclass(frozen=True, slots=True)
class BookChanged:
    """Levels of one book changed. Ids chain: `previous_id` is the `last_id` of the change before."""

    listing: int
    """Index of the listing in the market."""
    ts_ns: int
    first_id: int
    last_id: int
    previous_id: int
    bids: Levels
    asks: Levels
    top_changed: bool
    """Whether a best price or its size is another one now."""


@dataclass(frozen=True, slots=True)
class TradePrinted:
    """A public trade; also one of ours, since everybody sees it."""

    listing: int
    ts_ns: int
    trade_id: int
    ticks: int
    lots: int
    buyer_is_maker: bool


@dataclass(frozen=True, slots=True)
class MarkPriced:
    """Mark price, index and the funding rate that would settle next; perpetuals only."""

    listing: int
    ts_ns: int
    mark: Decimal
    index: Decimal
    rate: Decimal
    next_funding_ns: int
    interval_h: int


@dataclass(frozen=True, slots=True)
class FundingDue:
    """Funding settles now at this rate and mark price."""

    listing: int
    ts_ns: int
    rate: Decimal
    mark: Decimal


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The instrument's trading status is another one."""

    listing: int
    ts_ns: int
    status: TradingStatus


@dataclass(frozen=True, slots=True)
class RestingFilled:
    """A resting order of an account was reached by the market: private, for the accounts."""

    listing: int
    ts_ns: int
    order_number: int
    """As given to `Market.rest`."""
    ticks: int
    lots: int
    trade_id: int


MarketEvent = BookChanged | TradePrinted | MarkPriced | FundingDue | StatusChanged | RestingFilled


# What an account asks for.


class Kind(StrEnum):
    """How the price is set."""

    LIMIT = "limit"
    MARKET = "market"


class Lifetime(StrEnum):
    """How long an order lives."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"
    """Rests or is refused; never takes."""


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order as an account sends it, checked for form by the protocol."""

    listing: int
    side: Side
    kind: Kind
    lifetime: Lifetime
    quantity: Decimal | None
    """In the venue's unit; None where `quote_quantity` is given."""
    price: Decimal | None
    client_id: str
    """Empty: the exchange makes one up."""
    reduce_only: bool = False
    quote_quantity: Decimal | None = None
    """Spot market orders may name what to spend instead."""


class Refusal(StrEnum):
    """Why an order, a cancel or a transfer was refused; every protocol has a code for each."""

    UNKNOWN_INSTRUMENT = "unknown_instrument"
    NOT_TRADING = "not_trading"
    BAD_QUANTITY = "bad_quantity"
    """Not positive, not finite, off the lot grid, below the minimum or above the maximum."""
    QUANTITY_OFF_GRID = "quantity_off_grid"
    QUANTITY_TOO_SMALL = "quantity_too_small"
    QUANTITY_TOO_LARGE = "quantity_too_large"
    PRICE_OFF_GRID = "price_off_grid"
    PRICE_OUT_OF_RANGE = "price_out_of_range"
    """Too far from the mark."""
    NOTIONAL_TOO_SMALL = "notional_too_small"
    NOTIONAL_TOO_LARGE = "notional_too_large"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    INSUFFICIENT_MARGIN = "insufficient_margin"
    REDUCE_ONLY = "reduce_only"
    """It would not reduce a position."""
    WOULD_TAKE = "would_take"
    """Post-only, and it would trade at once."""
    NOT_FILLABLE = "not_fillable"
    """Fill-or-kill, and the book does not hold it."""
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    UNKNOWN_ORDER = "unknown_order"
    ALREADY_FINAL = "already_final"
    TOO_MANY_ORDERS = "too_many_orders"
    WITHDRAWAL_SUSPENDED = "withdrawal_suspended"
    UNKNOWN_NETWORK = "unknown_network"
    BAD_ADDRESS = "bad_address"
    AMOUNT_TOO_SMALL = "amount_too_small"
    NOT_CHANGED = "not_changed"
    """Leverage, margin type or position mode is what was asked for already."""


class OrderState(StrEnum):
    """Where an order is; the last five are final."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    """What an IOC or market order could not fill, or a post-only order that would have traded (Bybit cancels it)."""
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        """Whether nothing more can happen to it."""
        return self not in (OrderState.NEW, OrderState.PARTIALLY_FILLED)


SELF_TRADE = "self-trade prevention"
"""Why an order of one's own that the next one would have met expired."""


# What an account hears.


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order as its owner sees it."""

    number: int
    """Of the exchange; the protocol prints it as the order id."""
    request: NewOrder
    client_id: str
    state: OrderState
    quantity: Decimal
    filled: Decimal
    filled_notional: Decimal
    """Sum of price × quantity of its fills."""
    fees: tuple[tuple[str, Decimal], ...]
    """(asset, amount)."""
    created_ns: int
    updated_ns: int
    reason: str = ""
    """`refusal` or why it ended, for humans."""


@dataclass(frozen=True, slots=True)
class AccountFill:
    """A fill of an account's order."""

    order_number: int
    listing: int
    side: Side
    trade_id: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    """Positive is paid."""
    fee_asset: str
    is_maker: bool
    realised: Decimal
    """Profit booked by closing part of a position, settle asset; 0 for spot."""
    ts_ns: int


@dataclass(frozen=True, slots=True)
class BalanceView:
    """One asset of one wallet."""

    wallet: str
    asset: str
    total: Decimal
    locked: Decimal
    """In open orders (spot) or as margin (derivatives)."""


@dataclass(frozen=True, slots=True)
class PositionView:
    """One derivative position, one-way mode; quantity signed in the venue's unit."""

    listing: int
    quantity: Decimal
    entry_price: Decimal
    mark: Decimal
    leverage: int
    unrealised: Decimal
    realised: Decimal
    liquidation_price: Decimal | None
    initial_margin: Decimal
    maintenance_margin: Decimal
    updated_ns: int
    result: Decimal = Decimal(0)
    """Booked since it was opened: profit less fees, plus funding; settle asset. 0 when flat."""
    result_ever: Decimal = Decimal(0)
    """The same since the account was opened."""
    break_even: Decimal = Decimal(0)
    """The price at which its profit makes up for the fees paid so far, funding and closing aside; 0 when flat."""


class Cause(StrEnum):
    """What changed balances or positions."""

    ORDER = "order"
    FUNDING = "funding"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    LIQUIDATION = "liquidation"
    ADL = "adl"
    INSURANCE = "insurance"
    """The insurance fund paid what a liquidated customer could not."""


@dataclass(frozen=True, slots=True)
class OrderUpdated:
    """An order's state changed; with `fill` where a fill changed it."""

    order: OrderView
    fill: AccountFill | None
    ts_ns: int
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """Balances and positions that changed together."""

    cause: Cause
    balances: tuple[BalanceView, ...]
    positions: tuple[PositionView, ...]
    ts_ns: int
    asset: str = ""
    """Of a deposit, withdrawal, transfer or funding payment."""
    amount: Decimal = Decimal(0)
    """Signed: + was received."""
    listing: int | None = None
    """Of a funding payment or liquidation."""
    quantity: Decimal = Decimal(0)
    """The position that funding was settled on, signed."""
    mark: Decimal = Decimal(0)
    """The price that it was settled at."""
    rate: Decimal = Decimal(0)


AccountEvent = OrderUpdated | AccountChanged


# Money on its way


@dataclass(frozen=True, slots=True)
class Network:
    """One chain that an asset moves on, as both venues know it; names are the protocols' business."""

    id: str
    """Ours: `bitcoin`, `tron`, `ethereum`, `bsc`, `solana`."""
    asset: str
    withdraw_fee: Decimal
    min_withdraw: Decimal
    confirmations: int
    block_s: float
    can_withdraw: bool = True
    can_deposit: bool = True
    contract: str = ""
    """Address of the token there; empty for a chain's own coin."""


class TransferState(StrEnum):
    """Where money on its way is."""

    PROCESSING = "processing"
    """The sending exchange works on it."""
    CONFIRMING = "confirming"
    """On the chain, not enough confirmations yet."""
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TransferView:
    """A withdrawal or a deposit."""

    number: int
    asset: str
    network: str
    amount: Decimal
    """What leaves or arrives, fee not in it."""
    fee: Decimal
    address: str
    tag: str
    state: TransferState
    confirmations: int
    confirmations_needed: int
    tx_id: str
    client_id: str
    created_ns: int
    updated_ns: int
