"""`--mode query` over an archive and a journal: what is answered, in which form, and what is said where nothing is."""

import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest

import main
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.instants import utc_text
from bot.storage.queries import JournalReader
from modes.query_answers import _LONGEST_NS, _MINUTE_NS, _PAGE_ROWS, _next_length
from modes.query_print import Printer
from tests.unit.queries_data import END, GAP, MINUTE, NOON, RUN, SECOND, Facts, make, write

ONE = "binance:ETH/USDT:USDT"
OTHER = "bybit:ETH/USDT:USDT"
DAY_NS = 86_400 * SECOND
ALL = ("--since", utc_text(NOON), "--until", utc_text(END + MINUTE))


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def cells(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


class House(NamedTuple):
    facts: Facts
    data_dir: Path

    def rows(self, channel: Channel, name: str = ONE, start_ns: int = NOON, stop_ns: int = END + MINUTE) -> list[Any]:
        return self.facts.of(channel, name, start_ns, stop_ns)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Five minutes; and a day later one quote more."""
    data_dir = tmp_path_factory.mktemp("query")
    facts = make()
    with ArchiveStore.open(data_dir) as store:
        write(facts, store, data_dir)
        later = dict(facts.rows[Channel.QUOTES][0]) | {"ts_recv_ns": NOON + DAY_NS, "ts_event_ns": None}
        table = pa.Table.from_pylist([later], schema=SCHEMAS[Channel.QUOTES])
        store.write(Channel.QUOTES, "binance.linear", table, {one.id: one for one in facts.instruments})
    return House(facts, data_dir)


@pytest.fixture
def ask(house: House, capsys: pytest.CaptureFixture[str]) -> Any:
    def asked(*words: str, market: str = "live") -> Answer:
        code = main.main(["--mode", "query", "--market", market, "--data-dir", str(house.data_dir), *words])
        return Answer(code, *capsys.readouterr())

    return asked


@pytest.mark.parametrize(
    ("what", "channel"),
    [("quotes", Channel.QUOTES), ("trades", Channel.TRADES), ("funding", Channel.FUNDING)],
)
@pytest.mark.parametrize("name", [ONE, OTHER])
def test_a_span_has_every_row_value_by_value(ask: Any, house: House, what: str, channel: Channel, name: str) -> None:
    answer = ask("--what", what, "--instrument", name, *ALL, "--json")
    assert answer.code == 0, answer.err
    assert answer.lines == house.rows(channel, name)
    assert len(answer.lines) >= 5


def test_a_span_ends_before_its_end_and_pages_repeat_nothing(ask: Any, house: House) -> None:
    rows = house.rows(Channel.TRADES)
    first, last = rows[10]["ts_recv_ns"], rows[40]["ts_recv_ns"]
    answer = ask("--what", "trades", "--instrument", ONE, "--since", str(first), "--until", str(last), "--json")
    assert answer.lines == house.rows(Channel.TRADES, ONE, first, last)


def test_a_span_of_years_is_answered_at_once(ask: Any, house: House) -> None:
    answer = ask("--what", "quotes", "--instrument", ONE, "--since", "1970-01-01", "--json")
    assert len(answer.lines) == len(house.rows(Channel.QUOTES)) + 1
    assert answer.lines[-1]["ts_recv_ns"] == NOON + DAY_NS


def test_pages_grow_while_they_are_short_and_shrink_when_they_are_not() -> None:
    lengths, length = [], _MINUTE_NS
    for rows in [0] * 8 + [_PAGE_ROWS] * 8:
        length = _next_length(length, rows)
        lengths.append(length)
    assert max(lengths) == _LONGEST_NS
    assert lengths[-1] == _MINUTE_NS


def test_several_instruments_follow_one_another(ask: Any, house: House) -> None:
    answer = ask("--what", "funding", "--instrument", ONE, "--instrument", OTHER, *ALL, "--json")
    assert answer.lines == house.rows(Channel.FUNDING, ONE) + house.rows(Channel.FUNDING, OTHER)


def test_a_table_is_short_and_says_that_there_is_more(ask: Any) -> None:
    words = ("--what", "quotes", "--instrument", ONE, *ALL)
    short = ask(*words)
    assert len(short.out.splitlines()) == 1 + 100
    assert "the first 100 rows; there are more: --limit 0 shows all" in short.err
    head = short.out.splitlines()[0]
    assert [word for word in ("ts recv", "bid price", "ask qty") if word not in head] == []
    two = ask(*words, "--limit", "2")
    assert len(two.out.splitlines()) == 1 + 2
    whole = ask(*words, "--limit", "0")
    assert whole.err == ""
    assert len(whole.out.splitlines()) > 101


def test_the_quote_of_a_moment_has_its_age_and_its_gap(ask: Any, house: House) -> None:
    at = GAP[0] + 30 * SECOND
    newest = house.rows(Channel.QUOTES, ONE, NOON, at + 1)[-1]
    (quote,) = ask("--what", "quote", "--instrument", ONE, "--at", utc_text(at), "--json").lines
    assert quote["age_s"] == pytest.approx((at - newest["ts_recv_ns"]) / 1e9)
    assert {name: quote[name] for name in newest} == newest
    assert quote["gap"] == "reconnecting: [31mpulled"
    (quote,) = ask("--what", "quote", "--instrument", ONE, "--at", utc_text(NOON + MINUTE), "--json").lines
    assert quote["gap"] is None


def test_the_book_of_a_moment_says_how_old_it_is_and_which(ask: Any, house: House) -> None:
    at = NOON + 90 * SECOND
    _, book = [entry for entry in house.facts.books[ONE] if entry[0] <= at][-1]
    assert book is not None
    words = ("--what", "book", "--instrument", ONE, "--at", utc_text(at))
    (told,) = ask(*words, "--json", "--limit", "3").lines
    assert (told["state"], told["sequence"], told["reason"]) == ("valid", book.sequence, "")
    best = [[float(price), float(quantity)] for price, quantity in book.bids[:3]]
    assert told["bids"] == best
    assert len(told["asks"]) == 3
    assert told["age_s"] == pytest.approx((at - told["ts_recv_ns"]) / 1e9)
    assert told["snapshot_ns"] == NOON + MINUTE
    assert told["snapshot_age_s"] == pytest.approx(30.0)
    lines = ask(*words).out.splitlines()
    assert f"VALID, sequence {book.sequence}, newest message 0.000 s old" in lines[0]
    assert "built on a whole book 30.000 s old" in lines[0]
    assert lines[-1].startswith("20 of ")
    cells = ask(*words, "--format", "csv", "--limit", "2").cells
    assert [(row["side"], row["level"]) for row in cells] == [("bid", "1"), ("bid", "2"), ("ask", "1"), ("ask", "2")]
    assert float(cells[0]["price"]) == best[0][0]


def test_a_book_in_a_gap_is_none_and_says_why(ask: Any) -> None:
    words = ("--what", "book", "--instrument", ONE, "--at", utc_text(GAP[0] + 20 * SECOND))
    shown = ask(*words)
    assert shown.code == 0
    assert ": INVALID, gap: reconnecting: [31mpulled" in shown.out
    assert len(shown.out.splitlines()) == 1
    (told,) = ask(*words, "--json").lines
    assert (told["state"], told["bids"], told["asks"]) == ("invalid", [], [])
    (row,) = ask(*words, "--format", "csv").cells
    assert (row["state"], row["price"]) == ("invalid", "")


def test_minute_rows_have_the_names_that_their_readers_know(ask: Any) -> None:
    words = ("--instrument", ONE, *ALL, "--json")
    trades = ask("--what", "minute-trades", *words).lines
    assert [row["ts_recv_ns"] for row in trades] == sorted({row["ts_recv_ns"] for row in trades})
    assert {row["whole"] for row in trades} == {True, False}
    assert all(isinstance(row["TOTAL_BTC_BUY"], str) for row in trades)
    books = ask("--what", "minute-books", *words).lines
    assert all(float(row["spread"]) > 0 and len(row["bids"]) > 3 for row in books)
    assert ask("--what", "minute-books", "--instrument", ONE, *ALL).out.count("\n") == 1 + len(books)


def test_views_are_of_a_symbol(ask: Any, house: House) -> None:
    views = ask("--what", "views", "--instrument", "ETH/USDT:USDT", *ALL, "--json").lines
    wanted = house.rows(Channel.VIEWS, "ETH/USDT:USDT")
    assert [row["view"] for row in views] == [json.loads(row["view"]) for row in wanted]


def test_gaps_are_told_with_their_reasons(ask: Any) -> None:
    gaps = ask("--what", "gaps", "--instrument", ONE, *ALL, "--json").lines
    assert [(row["channel"], row["start_ns"], row["stop_ns"]) for row in gaps] == [
        (channel, *GAP) for channel in ("quotes", "trades", "depth")
    ]
    assert ask("--what", "gaps", "--instrument", ONE, "--since", "2024-08-07", "--until", "2024-08-08").lines == []


@pytest.mark.parametrize("what", ["decisions", "orders", "fills", "balances", "events"])
def test_records_are_those_of_the_journal(ask: Any, house: House, what: str) -> None:
    with JournalReader.open(house.data_dir) as journal:
        records = [one for one in journal.records(RUN) if one.kind.value == what.removesuffix("s")]
    answer = ask("--what", what, "--json")
    assert [row["body"]["number"] for row in answer.lines] == [one.body["number"] for one in records]
    assert len(answer.lines) == 10
    since = ask("--what", what, "--since", utc_text(records[3].ts_ns), "--until", utc_text(records[5].ts_ns), "--json")
    assert [row["key"] for row in since.lines] == [one.key for one in records[3:5]]


def test_runs_are_told(ask: Any) -> None:
    (run,) = ask("--what", "runs", "--json").lines
    assert (run["run_id"], run["market"], run["started_ns"], run["ended_ns"]) == (RUN, "simulated", NOON, None)


def test_a_spreadsheet_calculates_nothing(ask: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with Printer("csv") as printer:
        printer.show(
            {"text": "=1+1", "sum": "-1", "by": "+x", "at": "@a", "tab": "\t=1", "esc": "\x1b[31mred", "n": -1.5}
        )
    (row,) = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert row == {"text": "'=1+1", "sum": "-1", "by": "'+x", "at": "'@a", "tab": " =1", "esc": "[31mred", "n": "-1.5"}


def test_a_later_record_with_more_fields_loses_none(capsys: pytest.CaptureFixture[str]) -> None:
    head = {"run_id": "r", "seq": 1, "ts_ns": 2, "key": "k"}
    with Printer("csv") as printer:
        printer.show(head | {"body": {"a": 1}})
        printer.show(head | {"body": {"a": 2, "b": "=2"}})
    first, second = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (first["a"], first["more"]) == ("1", "")
    assert (second["a"], json.loads(second["more"])) == ("2", {"b": "=2"})


def test_numbers_that_json_has_not_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    with Printer("json") as printer:
        printer.show({"a": float("nan"), "b": float("inf"), "c": [1.5, float("-inf")]})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": None, "c": [1.5, None]}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--mode query needs --what"),
        (("--what", "quote"), f"needs --instrument; kept are {ONE}, {OTHER}"),
        (("--what", "quote", "--instrument", "binance:ETH/USDT"), f"did you mean {ONE}?"),
        (("--what", "quote", "--instrument", "\x1b[2Jx"), "has no quote of [2Jx; kept are"),
        (("--what", "quote", "--instrument", ONE, "--at", "2024-08-07"), f"reaches from {utc_text(NOON)[:16]}"),
        (("--what", "book", "--instrument", ONE, "--at", "2024-08-07"), "has no book of"),
        (("--what", "quote", "--instrument", ONE, "--at", "noon"), "--at: write a duration (24h) or a UTC time"),
        (("--what", "quote", "--instrument", ONE, "--since", "1h"), "asked of a moment: write --at"),
        (("--what", "trades", "--instrument", ONE, "--at", "1h"), "asked of a span: write --since"),
        (("--what", "trades", "--instrument", ONE), "needs --since WHEN"),
        (("--what", "trades", "--instrument", ONE, "--since", "2024-08-09", "--until", "2024-08-08"), "not lie before"),
        (
            ("--what", "trades", "--instrument", ONE, "--since", "2023-01-01", "--until", "2023-01-02"),
            "what is kept reaches",
        ),
        (("--what", "trades", "--instrument", ONE, *ALL, "--run", RUN), "--run chooses records"),
        (("--what", "runs", "--instrument", ONE), "is of no instrument"),
        (("--what", "fills", "--run", "run-1"), f"there is no such run; did you mean {RUN}?"),
        (("--what", "fills", "--since", "2025-01-01"), "no run went on then"),
        (("--what", "quote", "--json", "--format", "csv"), "are two formats"),
        (("--what", "quote", "--source", "monog"), "did you mean mongo?"),
        (("--what", "quote", "--source", "mongo"), "no MongoDB is named"),
    ],
)
def test_a_wrong_question_is_one_line(
    ask: Any, words: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MONGODB_URI", raising=False)
    answer = ask(*words)
    assert answer.code == 2
    assert says in answer.err
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1
    assert "\x1b" not in answer.err


def test_what_another_market_has_is_told(ask: Any) -> None:
    answer = ask("--what", "quote", "--instrument", ONE, market="simulated")
    assert answer.code == 2
    assert "the live market's archive has it: add --market live" in answer.err


def test_an_empty_house_says_that_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--mode", "query", "--data-dir", str(tmp_path), "--what"]
    assert main.main([*words, "quote", "--instrument", ONE]) == 2
    assert "nothing of the kind is kept there, and --mode record keeps it from now on" in capsys.readouterr().err
    assert main.main([*words, "fills"]) == 2
    assert "no run is recorded" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
