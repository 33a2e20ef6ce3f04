"""The header: what market, whose money, which state, how much profit. Never hidden."""

from decimal import Decimal

from textual.content import Content
from textual.widget import Widget

from bot.domain.money import REAL, money_words
from bot.domain.snapshot import Snapshot
from bot.tui.words import duration, moment, moneys, progress_bar, time_of_day, tone_of

_WIDE = 96
_MARKETS = {"recorded": "$primary", "simulated": "$accent", "testnet": "$accent", "live": "$success"}
_STATES = {
    "ACTIVE": ("● ACTIVE", "$success"),
    "REDUCING": ("▲ REDUCING", "$warning"),
    "HALTED": ("■ HALTED", "$error"),
    "FINISHED": ("✓ FINISHED", "$primary"),
}
_TONES = {"good": "bold $success", "bad": "bold $error", "dim": "$secondary"}


class Header(Widget):
    """Three lines over everything else, and a fourth where there is another day to compare with."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._snapshot: Snapshot | None = None
        self._notices: tuple[str, ...] = ()

    def show(self, snapshot: Snapshot | None, notices: tuple[str, ...]) -> None:
        """`notices` are badges about the display itself: paused, no news, stopping."""
        if (snapshot, notices) != (self._snapshot, self._notices):
            self._snapshot, self._notices = snapshot, notices
            self.set_class(bool(snapshot and _beside(snapshot)), "-compared")
            self.refresh()

    def render(self) -> Content:
        """Lines of the width that there is."""
        shown = self._snapshot
        if shown is None:
            return Content.assemble(_badge("CRYPTO PIPE", "$foreground"), "  connecting to the engine …")
        width = self.content_size.width
        profit, running = _profit(shown), _running(shown)
        has_room = profit.cell_length + 2 + running.cell_length <= width
        beside_state = f"{shown.strategy} · run {shown.run_id}" if has_room else _pairs(shown)  # those on any screen
        lines = [
            _spread(self._badges(shown), Content(beside_state), width),
            _spread(profit, running, width),
            _spread(Content.styled(shown.headline, "bold"), _time(shown, width), width),
        ]
        if beside := _beside(shown):
            lines.append(_spread(Content.styled(beside, "$secondary"), Content(""), width))
        return Content("\n").join(lines)

    def _badges(self, shown: Snapshot) -> Content:
        market = _badge(f"{shown.market.upper()} MARKET", _MARKETS.get(shown.market, "$warning"))
        whose = money_words(shown.market, shown.real_money).upper()
        money = _badge(whose, "$error" if shown.real_money else "$foreground")
        state, colour = _STATES.get(shown.state, (shown.state, "$warning"))
        shadow = [] if shown.shadow is None else [_shadow_badge(shown.shadow.money)]
        notices = [_badge(notice, "$warning") for notice in self._notices]
        return Content(" ").join([market, money, *shadow, _badge(state, colour), *notices])


def _beside(shown: Snapshot) -> str:
    """The real orders beside paper ones, or what another day earns; empty where there is neither."""
    return shown.comparison if shown.shadow is None else shown.shadow.line


def _shadow_badge(money: str) -> Content:
    return _badge(f"SHADOW: {money.upper()}", "$error" if money == REAL else "$accent")


def _badge(text: str, colour: str) -> Content:
    return Content.styled(f" {text} ", f"bold $background on {colour}")


def _spread(left: Content, right: Content, width: int) -> Content:
    """Both on one line; the right one is left out where it does not fit, the left one is cut."""
    room = width - left.cell_length - right.cell_length
    if room < 2:
        return left.truncate(width, ellipsis=True)
    return Content.assemble(left, " " * room, right.stylize("$secondary"))


def _profit(shown: Snapshot) -> Content:
    whose = "real" if shown.real_money else "paper"
    return Content.assemble(
        (f"Realised ({whose}) ", "$secondary"),
        _amounts(shown.realised),
        ("  Unrealised ", "$secondary"),
        _amounts(shown.unrealised),
    )


def _amounts(amounts: dict[str, Decimal]) -> Content:
    parts = [Content.styled(moneys({asset: value}), _TONES[tone_of(value)]) for asset, value in amounts.items()]
    return Content(" · ").join(parts) if parts else Content.styled("none", "$secondary")


def _running(shown: Snapshot) -> Content:
    return Content(f"{_pairs(shown)} · {shown.taken} taken · ran {duration(shown.now_ns - shown.started_ns)}")


def _pairs(shown: Snapshot) -> str:
    return "1 pair open" if shown.open_pairs == 1 else f"{shown.open_pairs} pairs open"


def _time(shown: Snapshot, width: int) -> Content:
    wide = width >= _WIDE
    now = moment(shown.now_ns) if wide else f"{time_of_day(shown.now_ns)} UTC"
    if shown.progress is None:
        return Content(now)
    return Content.assemble(now, "  ", (progress_bar(shown.progress, 20 if wide else 8), "$primary"))
