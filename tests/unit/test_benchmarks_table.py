"""What the benchmarks say about figures; how fast anything is is not asked here."""

import json
from io import StringIO

import pytest
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks import groups, peers, rows
from benchmarks.frames import Market, Quotes, later
from benchmarks.measure import interleaved, quantile
from benchmarks.rig import ReplayRig, temporary_journal
from benchmarks.rows import Row, Target, against, figure, without_peer, worst
from benchmarks.table import number, show
from exchanges.simulator.sample_recording import sample_instrument, sample_lines

AT_MOST = Target("ratio", at_most=True, limit=3.3, unit="us")
AT_LEAST = Target("value", at_most=False, limit=200_000, unit="quotes/s")


def test_a_ratio_is_the_median_of_the_rounds_and_not_of_the_sides():
    row = against("decode", "us", [1.0, 8.0, 3.0], "msgspec 1", [1.0, 2.0, 1.0], AT_MOST)
    assert (row.value, row.peer_value, row.ratio, row.met) == (3.0, 1.0, 3.0, True)
    assert row.noise is not None
    assert (row.noise.ratio_min, row.noise.ratio_max, row.noise.value_max, row.noise.peer_max) == (1.0, 4.0, 8.0, 2.0)


@pytest.mark.parametrize(
    ("target", "reached", "missed", "text"),
    [(AT_MOST, 3.3, 3.31, "<= 3.3x"), (AT_LEAST, 200_000.0, 199_999.0, ">= 200,000 quotes/s")],
)
def test_a_target_is_met_up_to_its_limit(target, reached, missed, text):
    assert target.is_met(reached)
    assert not target.is_met(missed)
    assert str(target) == text


def test_the_worst_round_is_the_value_of_a_pause():
    row = worst("pause", "ms", [2.0, 11.0, 3.0], "empty loop", [1.0, 4.0, 1.0], Target("value", True, 10.0, "ms"))
    assert (row.value, row.peer_value, row.met) == (11.0, 4.0, False)


def test_nothing_is_said_about_a_target_when_the_peer_is_absent():
    row = without_peer("decode", "us", [1.0, 2.0], "msgspec", AT_MOST, peers.absent("msgspec"))
    assert (row.value, row.peer, row.ratio, row.met) == (1.5, "msgspec", None, None)
    assert "make bench" in row.note


def test_an_absent_peer_is_one_line_on_stderr(capsys):
    assert peers.load("no-such-peer", "no_such_peer") is None
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "no-such-peer" in lines[0]
    assert "make bench" in lines[0]


def test_both_sides_run_in_every_round_and_take_turns_at_beginning():
    called = []
    samples = interleaved(2, lambda: called.append("a") or 1.0, lambda: called.append("b") or 2.0)
    assert samples == [[1.0, 1.0], [2.0, 2.0]]
    assert called == ["b", "a", "a", "b", "b", "a"], "the first round only warms up"


def test_a_quantile_of_few_values_is_one_of_them():
    assert [quantile([1, 2, 3, 4], part) for part in (0.0, 0.5, 0.99, 1.0)] == [1, 3, 4, 4]


@pytest.fixture
def one_group(monkeypatch):
    """The command, with one group that measures nothing."""

    def with_rows(*made):
        monkeypatch.setattr(command, "GROUPS", {"decision": groups.GROUPS["decision"]})
        monkeypatch.setattr(command, "measured", lambda name, rounds: list(made))

    return with_rows


def test_json_is_a_list_of_rows_with_the_promised_keys(one_group, capsys):
    one_group(figure("sustained", "quotes/s", [210_000.0, 220_000.0], AT_LEAST))
    assert command.main(["--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert {"name", "value", "unit", "peer", "peer_value", "ratio", "target", "met"} <= row.keys()
    assert (row["value"], row["met"], row["noise"]["value_min"]) == (215_000.0, True, 210_000.0)


def test_a_target_that_is_not_met_is_exit_1(one_group, capsys):
    one_group(figure("sustained", "quotes/s", [190_000.0], AT_LEAST))
    assert command.main([]) == 1
    assert "NOT MET" in capsys.readouterr().out


def test_what_can_be_measured_is_listed_and_nothing_else_is_taken(capsys):
    assert command.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(groups.GROUPS)
    with pytest.raises(SystemExit) as usage:
        command.main(["--only", "nothing"])
    assert usage.value.code == 2


def test_the_table_shows_figure_peer_scatter_and_note():
    out = StringIO()
    row = against("decode", "us", [1.0, 3.0], "msgspec 1", [0.5, 0.5], AT_MOST, "what it includes")
    show([row, Row(name="nothing", value=None, unit="us")], Console(file=out, width=160))
    for text in ("2 us (1 to 3)", "msgspec 1 0.500", "4x (2 to 6)", "<= 3.3x", "NOT MET", "what it includes"):
        assert text in out.getvalue()


@pytest.mark.parametrize(("value", "text"), [(187_234.5, "187,234"), (4.0249, "4.025"), (0.9134, "0.913")])
def test_numbers_keep_the_digits_that_count(value, text):
    assert number(value) == text


def test_a_recording_can_be_played_on_and_on():
    feeds = []
    for feed, lines in sample_lines(seed=1, minutes=1).items():
        frames = [(int(ts), raw) for ts, raw in (line.rstrip().encode().split(b" ", 1) for line in lines)]
        feeds.append(Quotes(sample_instrument(feed), "BTCUSDT", frames))
    market = Market("sample", feeds)
    frames = market.in_order()
    turn_ns = market.span_ns // 1_000_000 * 1_000_000 + 5_000_000
    with temporary_journal() as journal:
        rig = ReplayRig(market, journal, frames[0][0] - 1)
        rig.play(frames)
        once = [slot.received for slot in rig.engine.slots]
        rig.play([(ts + turn_ns, feed, later(raw, 1, turn_ns)) for ts, feed, raw in frames])
        rig.check()
    assert [slot.received for slot in rig.engine.slots] == [2 * count for count in once]
    assert all(once)


def test_figures_of_a_run_that_skipped_quotes_are_refused():
    feeds = [Quotes(sample_instrument(feed), "BTCUSDT", []) for feed in sample_lines(seed=1, minutes=1)]
    with temporary_journal() as journal:
        rig = ReplayRig(Market("sample", feeds), journal, 1)
        rig.check()
        rig.on_frame[0](b'{"stream":"btcusdt@bookTicker","data":{"u":"x"}}', 2)
        with pytest.raises(RuntimeError, match="malformed 1"):
            rig.check()


def test_spread_of_one_round_is_that_round():
    assert figure("as-of", "us", [4.0]).noise == rows.Spread(rounds=1, value_min=4.0, value_max=4.0)
