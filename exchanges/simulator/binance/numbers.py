"""How Binance prints numbers: decimals as strings with a fixed number of digits."""

from decimal import Decimal

from bot.domain.instrument import Segment
from exchanges.simulator.core.values import Levels, Listing

_CACHE_LIMIT = 200_000
_MONEY_DIGITS = 8


class Steps:
    """Prints whole steps (ticks or lots) by integer arithmetic, without rounding."""

    __slots__ = ("_digits", "_multiple", "_one", "_texts", "step")

    def __init__(self, step: Decimal, digits: int) -> None:
        scaled = step.scaleb(digits)
        if scaled != int(scaled):
            raise ValueError(f"step {step} has more than {digits} digits")
        self.step = step
        self._digits = digits
        self._multiple = int(scaled)
        self._one = 10**digits
        self._texts: dict[int, str] = {}

    def text(self, steps: int) -> str:
        """The number that `steps` steps stand for."""
        text = self._texts.get(steps)
        if text is None:
            text = self._remember(steps)
        return text

    def _remember(self, steps: int) -> str:
        if len(self._texts) >= _CACHE_LIMIT:
            self._texts.clear()
        whole, part = divmod(steps * self._multiple, self._one)
        text = f"{whole}.{part:0{self._digits}d}" if self._digits else str(whole)
        self._texts[steps] = text
        return text


class Printer:
    """A listing's prices and quantities as Binance spells them."""

    __slots__ = ("_price_digits", "_quantity_digits", "prices", "quantities")

    def __init__(self, listing: Listing) -> None:
        spot = listing.instrument.segment is Segment.SPOT
        # Spot prints eight digits whatever the grid; futures print the instrument's own.
        self._price_digits = max(listing.price_digits, _MONEY_DIGITS) if spot else listing.price_digits
        self._quantity_digits = max(listing.quantity_digits, _MONEY_DIGITS) if spot else listing.quantity_digits
        self.prices = Steps(listing.instrument.tick_size, self._price_digits)
        self.quantities = Steps(listing.instrument.lot_size, self._quantity_digits)

    def levels(self, levels: Levels) -> list[list[str]]:
        """`[[price, quantity], …]`."""
        price, quantity = self.prices.text, self.quantities.text
        return [[price(ticks), quantity(lots)] for ticks, lots in levels]

    def levels_json(self, levels: Levels) -> str:
        """The same as JSON text, without going through lists."""
        price, quantity = self.prices.text, self.quantities.text
        return "[" + ",".join([f'["{price(ticks)}","{quantity(lots)}"]' for ticks, lots in levels]) + "]"

    def price(self, price: Decimal | None) -> str:
        """A price that need not lie on the grid (an average); zero where there is none."""
        return f"{price or Decimal(0):.{self._price_digits}f}"

    def quantity(self, quantity: Decimal | None) -> str:
        """A quantity; zero where there is none."""
        return f"{quantity or Decimal(0):.{self._quantity_digits}f}"


def money(amount: Decimal) -> str:
    """Eight digits."""
    return f"{amount:.{_MONEY_DIGITS}f}"


def plain(number: Decimal) -> str:
    """As short as it goes, never with an exponent."""
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def fine(price: Decimal | None) -> str:
    """A price off the grid, to eight digits and no longer than it must be; 0 where there is none."""
    return plain(round(price or Decimal(0), _MONEY_DIGITS))


def milliseconds(ts_ns: int) -> int:
    """Times are whole milliseconds in every protocol of Binance."""
    return ts_ns // 1_000_000
