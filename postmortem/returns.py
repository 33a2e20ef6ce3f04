"""What a market's pairs returned on the money that they held, and how far they fell on the way.

    locked capital   sum of the notionals of all pairs that are open at a moment: what they would hold without leverage
    return           profit over the most that was ever locked
    per year         profit over the mean locked capital, as if the span of the runs went on for a year; told of a
                     day and more: the best minutes of a market, times a year, are no return
    drawdown         the largest fall of the realised profit below its highest point before; pairs count when they end

Unlevered on purpose: margin depends on a leverage that a report cannot know, and a return on margin flatters.
"""

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

from postmortem.exact import ZERO, exact, quotient, total
from postmortem.model import PairLine, ReturnLine

_DAY_NS = 86_400 * 10**9
_YEAR_NS = Decimal(365 * 86_400) * 10**9


def return_line(quote_asset: str, pairs: Sequence[PairLine], span_ns: int) -> ReturnLine:
    """Of the realised pairs in one quote currency.

    Args:
        quote_asset: Their currency.
        pairs: At least one, each with its end.
        span_ns: How long the market was watched, on its own clock.
    """
    with exact():
        profit = total(line.bridge.profit for line in pairs)
        peak = _peak_locked(pairs)
        held = total(line.notional * (_end_ns(line) - line.ts_open_ns) for line in pairs)
        mean = quotient(held, Decimal(span_ns)) if span_ns > 0 else ZERO
        yearly = quotient(profit * _YEAR_NS, mean * span_ns) if mean and span_ns >= _DAY_NS else None
        return ReturnLine(
            quote_asset=quote_asset,
            profit=profit,
            peak_locked=peak,
            mean_locked=mean,
            return_ratio=quotient(profit, peak) if peak else None,
            return_per_year=yearly,
            max_drawdown=_drawdown(pairs),
        )


def _end_ns(line: PairLine) -> int:
    return line.ts_open_ns if line.ts_close_ns is None else line.ts_close_ns


def _peak_locked(pairs: Sequence[PairLine]) -> Decimal:
    """The most that was locked at one moment; what is freed at a moment is free for what begins then."""
    steps = [(line.ts_open_ns, 1, line.notional) for line in pairs]
    steps += [(_end_ns(line), 0, -line.notional) for line in pairs if _end_ns(line) > line.ts_open_ns]
    steps += [(line.ts_open_ns, 2, -line.notional) for line in pairs if _end_ns(line) <= line.ts_open_ns]
    return max(accumulate(step for *_, step in sorted(steps)), default=ZERO)


def _drawdown(pairs: Sequence[PairLine]) -> Decimal:
    curve = list(accumulate((line.bridge.profit for line in sorted(pairs, key=_end_ns)), initial=ZERO))
    highs = accumulate(curve, max)
    return max((high - value for high, value in zip(highs, curve, strict=True)), default=ZERO)
