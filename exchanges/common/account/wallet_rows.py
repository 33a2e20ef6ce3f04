"""Rows of a venue's networks and of past deposits and withdrawals: one that is odd spoils only itself."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Protocol

from pydantic import Field, ValidationError

from bot.domain.network import AssetNetwork
from bot.domain.terms import WalletMove
from exchanges.common.told import first_fault

TxId = Annotated[str, Field(min_length=1)]
"""Of a transaction on a chain."""


class MoveRow(Protocol):
    """A withdrawal or a deposit that is complete."""

    @property
    def asset(self) -> str:
        """The venue's name of it."""

    @property
    def network(self) -> str:
        """The venue's name of it."""

    @property
    def tx_id(self) -> str:
        """On its chain."""

    @property
    def kind(self) -> object:
        """By the venue's own code: over a chain, or within the venue."""

    @property
    def begun_ns(self) -> int:
        """UTC ns."""

    @property
    def done_ns(self) -> int:
        """UTC ns."""


def read_networks_of(
    asset: str, rows: Iterable[Any], name: str, read: Callable[[Any], AssetNetwork]
) -> tuple[list[AssetNetwork], dict[str, str]]:
    """An asset's networks, and what is wrong with those that make no sense, by asset and network (`USDT ETH`).

    Args:
        asset: Whose they are.
        rows: As the venue sent them.
        name: The field that names a network.
        read: Makes one of a row, or raises a ValidationError.
    """
    found, wrong = [], {}
    for raw in rows:
        try:
            found.append(read(raw))
        except ValidationError as error:
            named = raw.get(name, "?") if isinstance(raw, Mapping) else "?"
            wrong[f"{asset} {named}"] = first_fault(error)
    return found, wrong


def past_moves(
    venue: str,
    rows: Iterable[Any],
    read: Callable[[Any], MoveRow],
    chains: Mapping[str, str],
    *,
    on_chain: object,
    is_deposit: bool,
) -> list[WalletMove]:
    """Those of a history that went over a chain and have ended.

    Args:
        venue: Whose history it is.
        rows: As the venue sent them.
        read: Makes sense of one, or raises a ValidationError: not complete, or without a time. It teaches nothing of
            how long transfers take, and is left out.
        chains: Our id of a chain by the venue's network.
        on_chain: The kind of a move that went over one.
        is_deposit: Which history it is.
    """
    found = []
    for raw in rows:
        try:
            row = read(raw)
        except ValidationError:
            continue
        if row.kind == on_chain:
            found.append(
                WalletMove(
                    venue=venue,
                    asset=row.asset,
                    chain=chains.get(row.network),
                    tx_id=row.tx_id,
                    is_deposit=is_deposit,
                    begun_ns=row.begun_ns,
                    done_ns=row.done_ns,
                )
            )
    return found
