"""Bodies of journal records, as values."""

from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from bot.domain.order import Fill
from bot.errors import StorageError
from bot.storage.queries import Record
from postmortem.exact import from_float

LegName = Annotated[str, Field(pattern=r"^((open|close|hedge)_(buy|sell)|(link|home)_\d+)$")]
"""Of a pair `open_buy` and its like; of a chain which link, or whose instrument on the way home."""
PairStateName = Literal["opening", "open", "in_flight", "closing", "closed", "missed", "failed"]

_Body = TypeVar("_Body", bound=BaseModel)


class _Recorded(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RecordedCost(_Recorded):
    """One cost as it was priced at the decision."""

    name: str
    bps: float | None
    assumed: bool = False


class Expected(_Recorded):
    """What the decision to open expected."""

    buy_price: Decimal
    sell_price: Decimal
    gross_bps: float | None = None
    needed_bps: float | None = None
    net_bps: float | None = None
    costs: tuple[RecordedCost, ...] = ()


class ExitExpected(_Recorded):
    """What the decision to close expected."""

    buy_price: Decimal
    """At which the sold side is bought back."""
    sell_price: Decimal
    """At which the bought side is sold."""


class LinkBody(_Recorded):
    """What the decision expected of one link of a chain."""

    quantity: Decimal
    price: Annotated[Decimal, BeforeValidator(lambda price: from_float(price) if isinstance(price, float) else price)]
    spends: Decimal
    brings: Decimal


class TravelBody(_Recorded):
    """A transfer of a chain."""

    link: int
    asset: str
    from_venue: str
    to_venue: str
    amount: Decimal
    sent: Decimal | None = None
    """What left the wallet, where that was told."""
    state: str | None
    received: Decimal

    @property
    def left(self) -> Decimal:
        """What left the wallet."""
        return self.amount if self.sent is None else self.sent

    @property
    def is_over(self) -> bool:
        """Whether it arrived, or came back."""
        return self.state in ("arrived", "refused", "failed")

    @property
    def end_venue(self) -> str:
        """Where it lies now."""
        return self.to_venue if self.state == "arrived" else self.from_venue


class ChainLeg(NamedTuple):
    """One leg of a chain: a place it takes from, and one it brings to, each a venue and an asset."""

    side: str | None
    """None for a transfer."""
    takes: tuple[str, str]
    brings: tuple[str, str]


class AbandonedBody(_Recorded):
    """What the journal knew of a pair when a person had it forgotten."""

    was: str
    """Its state until then."""
    held: str
    """In words."""
    orders: tuple[str, ...]
    """Client order ids without a known end."""


class PairBody(_Recorded):
    """State of a pair."""

    pair: str
    route: str
    kind: str
    state: PairStateName
    quantity: Decimal
    quote_asset: str
    base_asset: str
    buy: str
    sell: str
    expected: Expected
    exit_expected: ExitExpected | None = None
    close_reason: str | None = None
    abandoned: AbandonedBody | None = None
    """None also of an abandoned pair where an older journal does not tell it."""
    ts_open_ns: int
    ts_close_ns: int | None = None
    legs: tuple[tuple[Any, ...], ...] = ()
    links: tuple[LinkBody, ...] = ()
    """Of a chain; empty for a pair."""
    travels: tuple[TravelBody, ...] = ()

    @property
    def is_chain(self) -> bool:
        """Whether one amount travels through its legs."""
        return bool(self.links)

    @property
    def chain_legs(self) -> tuple[ChainLeg, ...]:
        """The legs that the amount travels through, one for each link."""
        return tuple(leg for words in self.legs if (leg := _chain_leg(words)) is not None)

    @property
    def is_round_trip(self) -> bool:
        """Whether it trades one instrument one way and back."""
        return self.buy == self.sell

    @property
    def is_over(self) -> bool:
        """Whether nothing more is planned for it."""
        return self.state in ("closed", "missed", "failed")

    @property
    def is_abandoned(self) -> bool:
        """Whether it ended because a person had it forgotten: what became of what it held is not recorded."""
        return self.close_reason == "abandoned"


def _chain_leg(words: tuple[Any, ...]) -> ChainLeg | None:
    kind, *rest = words
    if kind == "trade":
        venue, _, symbol = str(rest[0]).partition(":")
        base, _, quote = symbol.partition("/")
        ends = [(venue, quote), (venue, base)]
        takes, brings = ends if rest[1] == "buy" else ends[::-1]
        return ChainLeg(rest[1], takes, brings)
    if kind == "transfer" and not rest[4]:
        return ChainLeg(None, (rest[1], rest[0]), (rest[2], rest[0]))
    return None


class FillBody(Fill):
    """A fill with its place in a pair."""

    pair: str | None = None
    leg: LegName | None = None
    expected_price: Decimal | None = None
    """When the order was made; None where nothing was known."""


class FundingBody(_Recorded):
    """A funding payment; positive was received."""

    pair: str | None
    instrument: str
    asset: str
    payment: Decimal
    mark_price: Decimal
    assumed: bool = False


class DecisionBody(_Recorded):
    """The part of a decision that is counted."""

    route: str
    outcome: Literal["taken", "refused", "closed"]
    reason: str
    gross_bps: float | None = None
    needed_bps: float | None = None


class OrderBody(_Recorded):
    """The part of an order that is counted."""

    client_order_id: str
    status: str


class BalanceLine(_Recorded):
    """One asset in one wallet."""

    wallet: str
    asset: str
    total: Decimal


class BalanceBody(_Recorded):
    """Every wallet at one end of a run."""

    at: str
    balances: tuple[BalanceLine, ...]


class RunStart(_Recorded):
    """What a run said about itself when it started."""

    strategy: str
    market: str
    real_money: bool
    version: str = ""
    fees: dict[str, Any] = {}
    funding_assumed: dict[str, Decimal | None] = {}


def read(record: Record, body: type[_Body]) -> _Body:
    """The record's body as a value.

    Raises:
        StorageError: If it is not of that shape.
    """
    return validate(record.body, body, f"journal record {record.seq} ({record.kind})")


def validate(data: object, body: type[_Body], what: str) -> _Body:
    """`data` as a value; `StorageError` naming `what` otherwise."""
    try:
        return body.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise StorageError(f"{what} cannot be understood: {where}: {first['msg']}") from error
