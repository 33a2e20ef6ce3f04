"""An allow-list that a person is writing, or has written wrongly: refused by name, and no bug of the bot."""

from pathlib import Path

import pytest

from bot.errors import SettingsError
from bot.transfers.allow_list import read_allow_list

ENTRY = "- {name: there, asset: USDT, network: tron, address: TXYZ12345678, memo: "


@pytest.mark.parametrize(
    "text",
    [
        ENTRY,
        ENTRY + "2026-13-45}",
        ENTRY + "!!int ''}",
        ENTRY + "!!timestamp x}",
        ENTRY + "12345}",
        "[" * 3000,
        "- &a [*a]",
        "\x00",
        "there: everywhere",
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "allowed.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="is not understood"):
        read_allow_list(path)
    path.write_text(f"{ENTRY}'2026-13-45'}}")
    assert read_allow_list(path).named("there") is not None
