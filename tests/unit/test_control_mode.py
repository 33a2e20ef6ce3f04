"""What `--mode flatten` says of real orders beside paper ones."""

from bot.control.messages import Command
from bot.domain.shadow import ShadowStatus, figures
from modes.control import _is_done, _words
from tests.tui.demo_engine import prepared


def shadow(**twins: str) -> ShadowStatus:
    return ShadowStatus(
        run_id="r-s", money="REAL MONEY", state="ACTIVE", shadowed=7, not_shadowed={}, open_twins=len(twins),
        twins=twins, real_orders=14, real_pnl={}, figures=figures([]), by_venue={}, by_route={},
    )  # fmt: skip


def test_a_flatten_is_not_done_while_a_real_twin_is_open() -> None:
    everything, one = Command(command="flatten"), Command(command="flatten", route="a")
    shown = prepared(pairs=(), paused=("", "a"), shadow=shadow(twin="a"))
    for command in (everything, one):
        assert not _is_done(command, shown)
        assert "STILL being closed: twin" in _words(command, shown)
    assert _is_done(Command(command="flatten", route="a"), prepared(pairs=(), paused=("a",), shadow=shadow(twin="b")))
    assert _is_done(everything, prepared(pairs=(), paused=("",), shadow=shadow()))
