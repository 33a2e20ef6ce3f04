"""The order of one fault, as a program (JSON) or a person (one line) writes it."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.domain.instrument import Segment
from bot.errors import SettingsError
from bot.suggestion import did_you_mean
from exchanges.simulator.faults.catalogue import CATALOGUE, FaultInfo, FaultKind

_Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class Fault(BaseModel):
    """What goes wrong, where, when and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    fault: FaultKind
    venue: str
    """`binance` or `bybit`."""
    segment: Segment | None = None
    """None: every segment."""
    at_s: _Seconds = 0.0
    """From the order to its beginning."""
    for_s: _Seconds | None = None
    """None: the catalogue's; 0: until it has struck `count` times, else once."""
    count: int | None = Field(default=None, gt=0)
    """The most times that it strikes; None: as often as there is occasion."""
    match: str = Field(default="", max_length=100)
    """Strikes only what has this text; see `Realm`."""
    amount: Annotated[float, Field(gt=-1e6, le=1e6, allow_inf_nan=False)] | None = None
    """How much, in the catalogue's unit."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        info = self.info
        if self.venue not in info.venues:
            raise ValueError(f"venue {self.venue!r} has no {self.fault}; {' and '.join(info.venues)} have")
        if self.amount is not None and info.amount is None:
            raise ValueError(f"{self.fault} takes no amount")
        if self.amount is not None and self.amount <= 0 and self.fault is not FaultKind.CLOCK_DRIFT:
            raise ValueError(f"the amount of {self.fault} must be above 0")
        return self

    @property
    def info(self) -> FaultInfo:
        """What the catalogue says of it."""
        return CATALOGUE[self.fault]

    @property
    def lasts_s(self) -> float:
        """0: it happens once."""
        return self.info.for_s if self.for_s is None else self.for_s

    @property
    def most(self) -> int | None:
        """The most times that it strikes; None: no bound."""
        once = self.count is None and self.lasts_s == 0 and self.info.for_s > 0
        return 1 if once else self.count

    @property
    def size(self) -> float:
        """The amount, in the catalogue's unit; 0 where the fault has none."""
        return (self.info.amount or 0.0) if self.amount is None else self.amount

    def is_for(self, venue: str, segment: Segment | None, name: str) -> bool:
        """Whether it strikes there; `segment` None: what belongs to no segment is struck by any."""
        here = self.venue == venue and (self.segment is None or segment is None or self.segment is segment)
        return here and self.match in name

    def words(self) -> str:
        """One line for a log, in the form that `fault_from_text` reads."""
        told = self.model_dump(mode="json", exclude_defaults=True, exclude={"fault"})
        return ",".join([self.fault, *(f"{key}={value}" for key, value in told.items())])


def fault_from_json(fields: Mapping[str, object]) -> Fault:
    """The fault that a program ordered.

    Raises:
        SettingsError: If it is none; one line.
    """
    try:
        return Fault.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        # pydantic puts this in front of what our own validator says.
        what = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"fault: {where + ': ' if where else ''}{what}") from None


def fault_from_text(text: str) -> Fault:
    """`silence,venue=binance,segment=linear,at_s=30,for_s=5` as a fault.

    Raises:
        SettingsError: If it is none; one line.
    """
    kind, *parts = text.split(",")
    if kind not in CATALOGUE:
        raise SettingsError(
            f"no fault {kind[:40]!r}; there are {', '.join(CATALOGUE)}{did_you_mean(kind[:40], [*CATALOGUE])}"
        )
    fields: dict[str, object] = {"fault": kind}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or not key or key in fields:
            raise SettingsError(f"fault {kind}: {part[:60]!r} should be key=value, each key once")
        fields[key] = value
    return fault_from_json(fields)
