"""Where a market's archive lies."""

from pathlib import Path

from bot.settings import Settings
from bot.storage.archive.channels import Channel
from modes.memory import open_archive
from tests.unit.archive_rows import KNOWN, START_NS, quotes


def settings(data_dir: Path, market: str, url: str | None) -> Settings:
    return Settings.model_validate({"market": market, "data_dir": data_dir, "archive": {"url": url}})


def written_to(data_dir: Path, market: str, url: str | None) -> None:
    with open_archive(settings(data_dir, market, url)) as store:
        store.write(Channel.QUOTES, "binance.spot", quotes(START_NS), KNOWN)


def files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file() and path.suffix not in {".lock", ".db"}]


def test_options_of_a_url_stay_at_its_end(tmp_path: Path) -> None:
    place = tmp_path / "files"
    written_to(tmp_path / "data", "simulated", f"file://{place}/?anonymous=true")
    assert files(place / "simulated")
    assert files(place) == files(place / "simulated")


def test_invented_prices_lie_apart_wherever_the_archive_is(tmp_path: Path) -> None:
    place = tmp_path / "files"
    written_to(tmp_path / "data", "simulated", str(place))
    written_to(tmp_path / "data", "live", str(place))
    assert files(place / "simulated")
    assert len(files(place)) > len(files(place / "simulated"))
    written_to(tmp_path / "other", "simulated", None)
    assert files(tmp_path / "other" / "simulated" / "archive")
