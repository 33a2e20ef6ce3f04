"""A message about real orders beside paper ones must not be headed by paper money alone."""

import json
from pathlib import Path

from bot.domain.money import REAL
from bot.engine.engine import RunInfo
from bot.settings import Settings
from bot.telling.notifier import URLS
from modes.telling import Telling

INFO = RunInfo("run", "arbitrage", "live", False, "digest", "0")


def test_messages_and_log_lines_name_the_money_of_real_orders_beside_paper_ones(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    settings = Settings.model_validate({"log": {"json_file": path}})
    for shadow, title in (
        (REAL, "Crypto Pipe, LIVE market, paper money, SHADOW: REAL MONEY"),
        (None, "Crypto Pipe, LIVE market, paper money"),
    ):
        telling = Telling(settings, INFO, {URLS: "json://127.0.0.1:9/"}, lambda *_: None, shadow)
        assert telling._notifier is not None
        assert telling._notifier._title == title
        telling.log("info", "shadow: adopted twin")
        telling.close()
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["real_money"], line.get("shadow")) for line in told] == [(False, REAL), (False, None)]
