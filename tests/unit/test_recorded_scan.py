import gzip
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.market import PrintedQuote, TopOfBook
from bot.errors import RecordingError, SettingsError
from bot.ports import FrameDecoder, MarketSink
from exchanges.recorded.instruments import merged_metadata
from exchanges.recorded.scan import scan

SPOT = Feed(venue="acme", segment=Segment.SPOT)
LINEAR = Feed(venue="acme", segment=Segment.LINEAR)


def instrument(feed: Feed, base: str, tick: str = "0.01") -> Instrument:
    return Instrument(
        venue=feed.venue,
        symbol=f"{base}/USDT" + (":USDT" if feed == LINEAR else ""),
        segment=feed.segment,
        base=base,
        quote="USDT",
        tick_size=Decimal(tick),
        lot_size=Decimal("0.001"),
    )


class _Decoder:
    """Quotes are whole JSON with nothing but `q`."""

    def __init__(self, sink: MarketSink) -> None:
        self._sink = sink

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        try:
            fields = json.loads(raw)
        except ValueError:
            self._sink.on_malformed(SPOT, raw, "not JSON")
            return
        if set(fields) == {"q"}:
            quote = TopOfBook(bid_price=1.0, bid_qty=1.0, ask_price=2.0, ask_qty=1.0, sequence=1, ts_event_ns=None)
            self._sink.on_quote(0, quote, ts_recv_ns, raw)


class Acme:
    """A venue whose quotes are `{"q":"SYMBOL"}`; it ships AAAUSDT."""

    id = "acme"

    def feeds(self) -> Sequence[Feed]:
        return (SPOT, LINEAR)

    def quoted_symbol(self, raw: bytes) -> str | None:
        head, _, rest = raw.partition(b'"q":"')
        return rest.split(b'"')[0].decode() if rest and head == b"{" else None

    def shipped_instruments(self, feed: Feed) -> Mapping[str, Instrument]:
        return {"AAAUSDT": instrument(feed, "AAA")}

    def decoder(self, feed: Feed, slots: Mapping[str, int], sink: MarketSink) -> FrameDecoder:
        return _Decoder(sink)

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        raise NotImplementedError

    def published_fees(self, feed: Feed) -> FeeSchedule | None:
        raise NotImplementedError


VENUES = {"acme": Acme()}


def quote(ns: int, symbol: str = "AAAUSDT") -> bytes:
    return b'%d {"q":"%s"}\n' % (ns, symbol.encode())


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(b"".join(lines))
    return path


def test_names_what_is_quoted_with_lines_and_times(tmp_path: Path) -> None:
    one = write(tmp_path / "one.raw", b"junk\n", quote(5), b'6 {"t":"AAAUSDT"}\n', quote(7))
    two = tmp_path / "two.gz"
    two.write_bytes(gzip.compress(quote(8) + quote(9)))
    perp = write(tmp_path / "perp.raw", quote(4))
    result = scan({SPOT: [one, two], LINEAR: [perp]}, VENUES)
    assert list(result.feeds) == [SPOT, LINEAR]
    assert (result.lines, result.first_ns, result.last_ns) == (7, 4, 9)
    assert result.instruments == (instrument(SPOT, "AAA"), instrument(LINEAR, "AAA"))
    spot = result.feeds[SPOT]
    assert (spot.lines, spot.first_ns, spot.last_ns, spot.quotes) == (6, 5, 9, 4)
    assert dict(spot.instruments) == {"AAAUSDT": instrument(SPOT, "AAA")}
    assert [file.quotes for file in spot.files] == [{"AAAUSDT": 2}, {"AAAUSDT": 2}]
    assert [file.malformed for file in spot.files] == [1, 0]


def test_a_cut_file_is_scanned_up_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "cut.raw", quote(5), b'6 {"q":"AAAUS')
    file = scan({SPOT: [path]}, VENUES).feeds[SPOT].files[0]
    assert file.quotes == {"AAAUSDT": 1}
    assert file.incomplete == f"{path}: truncated: line 2 is cut off"


def test_a_damaged_frame_makes_no_instrument(tmp_path: Path) -> None:
    path = write(tmp_path / "a.raw", b'5 {"q":"AAAXSDT\n', b'5 {"q":"AAAXSDT",\n', quote(6))
    assert list(scan({SPOT: [path]}, VENUES).feeds[SPOT].instruments) == ["AAAUSDT"]


def test_frames_that_the_feeds_decoder_cannot_use_are_no_quotes_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.raw", b'5 {"q":"AAAUSDT","another":"feed"}\n', b'6 {"q":"AAAUSDT","another":"feed"}\n')
    with pytest.raises(RecordingError, match=r"no top-of-book frame of acme\.spot: is it a recording of another feed"):
        scan({SPOT: [path]}, VENUES)


def test_unknown_metadata_names_symbol_and_file_to_write(tmp_path: Path) -> None:
    path = write(tmp_path / "a.raw", quote(5), quote(6, "BBBUSDT"))
    with pytest.raises(RecordingError) as caught:
        scan({SPOT: [path]}, VENUES)
    assert "acme.spot quotes BBBUSDT" in str(caught.value)
    assert str(tmp_path / "instruments.json") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.instruments.json", "instruments.json"])
@pytest.mark.parametrize("recording", ["a.raw", "a.gz", "a.raw.gz"])
def test_metadata_stands_beside_the_recording(tmp_path: Path, name: str, recording: str) -> None:
    known = instrument(SPOT, "BBB")
    (tmp_path / name).write_text(json.dumps({"BBBUSDT": known.model_dump(mode="json")}))
    path = write(tmp_path / recording, quote(5, "BBBUSDT"))
    assert dict(scan({SPOT: [path]}, VENUES).feeds[SPOT].instruments) == {"BBBUSDT": known}


def test_the_recordings_own_metadata_goes_before_the_folders_and_that_before_the_shipped(tmp_path: Path) -> None:
    folder = merged_metadata({}, {SPOT: {"AAAUSDT": instrument(SPOT, "AAA", "0.02")}})
    (tmp_path / "instruments.json").write_text(json.dumps(folder))
    path = write(tmp_path / "a.raw", quote(5))
    assert scan({SPOT: [path]}, VENUES).instruments[0].tick_size == Decimal("0.02")
    own = {"AAAUSDT": instrument(SPOT, "AAA", "0.03").model_dump(mode="json")}
    (tmp_path / "a.instruments.json").write_text(json.dumps(own))
    assert scan({SPOT: [path]}, VENUES).instruments[0].tick_size == Decimal("0.03")


def test_a_folder_holds_the_same_symbol_of_several_feeds(tmp_path: Path) -> None:
    spot, linear = instrument(SPOT, "BBB", "0.02"), instrument(LINEAR, "BBB", "0.05")
    document = merged_metadata({}, {SPOT: {"BBBUSDT": spot}, LINEAR: {"BBBUSDT": linear}})
    document["AAAUSDT"] = instrument(SPOT, "AAA", "0.07").model_dump(mode="json")
    (tmp_path / "instruments.json").write_text(json.dumps(document))
    path = write(tmp_path / "a.raw", quote(5, "BBBUSDT"), quote(6))
    result = scan({SPOT: [path], LINEAR: [path]}, VENUES)
    assert result.feeds[SPOT].instruments["BBBUSDT"] == spot
    assert result.feeds[LINEAR].instruments["BBBUSDT"] == linear
    assert result.feeds[SPOT].instruments["AAAUSDT"].tick_size == Decimal("0.07")
    assert result.feeds[LINEAR].instruments["AAAUSDT"].tick_size == Decimal("0.01")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "is not an object"),
        ('{"acme.spot": 3}', "acme.spot is not an object"),
        ('{"AAAUSDT": {"venue": "acme"}}', "AAAUSDT is not an instrument: symbol"),
        ('{"AAAUSDT": 5}', "AAAUSDT is not an instrument"),
    ],
)
def test_metadata_that_cannot_be_understood_is_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "instruments.json").write_text(text)
    with pytest.raises(RecordingError, match=says) as caught:
        scan({SPOT: [write(tmp_path / "a.raw", quote(5))]}, VENUES)
    assert "\n" not in str(caught.value)


def test_a_recording_of_another_feed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"no top-of-book frame of acme\.spot"):
        scan({SPOT: [write(tmp_path / "a.raw", b'5 {"t":1}\n')]}, VENUES)


def test_a_recording_without_a_whole_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"holds no whole line; .*truncated: line 1 is cut off"):
        scan({SPOT: [write(tmp_path / "a.raw", b'5 {"q":"AAAUSD')]}, VENUES)


def test_files_in_the_wrong_order_or_twice_are_refused(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old.raw", quote(5), quote(6)), write(tmp_path / "new.raw", quote(7))
    with pytest.raises(RecordingError, match="oldest first"):
        scan({SPOT: [new, old]}, VENUES)
    with pytest.raises(RecordingError, match="given twice"):
        scan({SPOT: [old, tmp_path / "." / "old.raw"]}, VENUES)


def test_an_unknown_feed_names_the_known_ones(tmp_path: Path) -> None:
    inverse = Feed(venue="acme", segment=Segment.INVERSE)
    with pytest.raises(SettingsError, match=r"'acme.inverse'; known: acme.linear, acme.spot"):
        scan({inverse: [tmp_path / "a.raw"]}, VENUES)
