"""On what chains an asset moves between venues, and whether two venues mean the same by it.

A chain is known by what it is. Each venue's folder says which of its names stands for which chain here; a name that
no table knows is no chain, and a token must be the same contract on both sides.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from string import hexdigits
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

_NotNegative = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_NOBODY = re.compile(r"0x(0*|e{40})")
"""What some venues print where there is no contract: the zero address, or forty times e."""


class Chain(BaseModel):
    """A blockchain, with what the time of a transfer follows from."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Ours: `ethereum`."""
    block_s: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Mean seconds between blocks."""
    is_proof_of_work: bool = False
    """Blocks come at random, like the events of a Poisson process; elsewhere they come by the clock."""
    native: frozenset[str]
    """Assets that are the chain's own, and so have no contract."""
    source: str
    """Of the block time."""


def _chain(name: str, block_s: float, native: str, source: str, *, is_proof_of_work: bool = False) -> Chain:
    return Chain(
        id=name,
        block_s=block_s,
        native=frozenset({native}),
        source=source,
        is_proof_of_work=is_proof_of_work,
    )


# Looked up in November 2026. Where sources differ, the slower figure: a transfer is never taken for faster than it is.
CHAINS: Mapping[str, Chain] = {
    chain.id: chain
    for chain in (
        _chain("bitcoin", 600, "BTC", "https://developer.bitcoin.org/devguide/block_chain.html", is_proof_of_work=True),
        _chain("ethereum", 12, "ETH", "https://ethereum.org/developers/docs/blocks"),
        _chain("bsc", 0.75, "BNB", "https://bnbsmartchain.com/maxwell-hardfork-cuts-bsc-block-time-to-0-75s"),
        _chain("tron", 3, "TRX", "https://developers.tron.network/docs/reward-calculation"),
        _chain("solana", 0.4, "SOL", "https://solana.com/docs/core/transactions/confirmation"),
        _chain(
            "arbitrum",
            0.25,
            "ETH",
            "https://docs.arbitrum.io/launch-arbitrum-chain/features/advanced/sequencer-timing-adjustments",
        ),
        _chain("optimism", 2, "ETH", "https://docs.chainstack.com/docs/flashblocks-on-optimism"),
    )
}
"""By our id. A chain that is not here has no known block time, and nothing is sent over it."""


class AssetNetwork(BaseModel):
    """One asset on one chain at one venue. Amounts are in units of the asset."""

    model_config = ConfigDict(frozen=True)

    venue: str
    asset: str
    name: str
    """The venue's spelling of the network."""
    chain: str | None
    """Our id of the chain; None for a name that no table knows."""
    contract: str | None = None
    """Of a token, as the venue prints it; None where it gives none."""
    can_deposit: bool
    can_withdraw: bool
    withdraw_fee: _NotNegative | None = None
    """None where nothing can be withdrawn."""
    withdraw_fee_ratio: Annotated[Decimal, Field(ge=0, lt=1)] = Decimal(0)
    """Of the amount, on top of the fixed fee."""
    min_withdraw: _NotNegative | None = None
    """The least that may be withdrawn; None where nothing can be."""
    max_withdraw: _NotNegative | None = None
    """The most that may be withdrawn now or in a day, as the venue puts it; None where it does not tell."""
    step: Annotated[Decimal, Field(gt=0, allow_inf_nan=False)] | None = None
    """Amounts are multiples of it; None where the venue does not tell."""
    min_deposit: _NotNegative = Decimal(0)
    """Less is not credited."""
    confirmations: Annotated[int, Field(ge=0)] | None = None
    """Blocks until a deposit is credited; None where nothing can be deposited."""
    unlock_confirmations: Annotated[int, Field(ge=0)] = 0
    """Blocks until it may be withdrawn again; it can be traded before."""
    arrival_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """How long a withdrawal takes by the venue's own word."""
    ts_ns: int
    """When it was told, UTC ns."""

    @model_validator(mode="after")
    def _tells_what_it_offers(self) -> "AssetNetwork":
        if self.can_withdraw and (self.withdraw_fee is None or self.min_withdraw is None):
            raise ValueError("withdrawals are offered without a fee or a minimum")
        if self.can_deposit and self.confirmations is None:
            raise ValueError("deposits are offered without a number of confirmations")
        return self

    def fee(self, amount: Decimal) -> Decimal:
        """What withdrawing `amount` costs, in the asset; of a network that withdrawals are offered on."""
        assert self.withdraw_fee is not None, f"{self.venue} {self.name}: no withdrawals"
        return self.withdraw_fee + self.withdraw_fee_ratio * amount

    @property
    def is_native(self) -> bool:
        """Whether the asset is the chain's own."""
        return self.chain is not None and self.chain in CHAINS and self.asset in CHAINS[self.chain].native

    @property
    def identity(self) -> str | None:
        """The contract in one spelling; None where there is none."""
        return canonical_contract(self.contract)


class NetworkMatch(BaseModel):
    """A way for an asset from one venue to another."""

    model_config = ConfigDict(frozen=True)

    source: AssetNetwork
    target: AssetNetwork

    @property
    def chain(self) -> Chain:
        """What it goes over."""
        assert self.source.chain is not None, "only chains that are known match"
        return CHAINS[self.source.chain]

    @property
    def id(self) -> str:
        """`USDT:tron`."""
        return f"{self.source.asset}:{self.chain.id}"


class NetworkRefusal(BaseModel):
    """Why two networks are no way, in words for a person."""

    model_config = ConfigDict(frozen=True)

    asset: str
    network: str
    """The chain, or the name that a venue gives it."""
    reason: str


def canonical_contract(contract: str | None) -> str | None:
    """A contract's address in one spelling; None for an empty one and for what stands for none.

    Hexadecimal addresses are the same in any case and with any number of zeros in front; others are taken as they are.
    """
    text = (contract or "").strip()
    if not _HEX.fullmatch(text):
        return text or None
    low = text.lower()
    return None if _NOBODY.fullmatch(low) else "0x" + low[2:].lstrip("0")


def canonical_transaction(tx_id: str) -> str:
    """A transaction's id in one spelling, empty where there is none yet.

    Venues differ in whether they write hexadecimal with a prefix, and in capitals; other ids differ by case.
    """
    text = tx_id.strip()
    bare = text[2:] if text[:2] in ("0x", "0X") else text
    is_hex = all(character in hexdigits for character in bare)
    return bare.lower() if is_hex else text


def match(source: AssetNetwork, target: AssetNetwork) -> NetworkMatch | NetworkRefusal:
    """Whether what `source` sends arrives as the same asset at `target`, and may be sent now."""
    why = _why_other(source, target) or _why_suspended(source, target)
    if why is not None:
        return NetworkRefusal(asset=source.asset, network=source.chain or source.name, reason=why)
    return NetworkMatch(source=source, target=target)


def _why_other(source: AssetNetwork, target: AssetNetwork) -> str | None:
    if source.asset != target.asset:
        return f"{source.venue} sends {source.asset} and {target.venue} takes {target.asset}"
    if source.chain is None or source.chain != target.chain:
        return f"{source.venue} {source.name} and {target.venue} {target.name} are not known to be the same chain"
    if source.chain not in CHAINS:
        return f"nothing is known of the chain {source.chain}"
    ours, theirs = source.identity, target.identity
    if ours is None and theirs is None and source.is_native:
        return None
    for side, contract in ((source, ours), (target, theirs)):
        if contract is None:
            return f"{side.venue} gives no contract address"
    if ours == theirs:
        return None
    return f"the contract addresses of {source.venue} and {target.venue} differ: it is another token"


def _why_suspended(source: AssetNetwork, target: AssetNetwork) -> str | None:
    ends = [] if source.can_withdraw else [f"withdrawals are suspended at {source.venue}"]
    ends += [] if target.can_deposit else [f"deposits are suspended at {target.venue}"]
    return " and ".join(ends) or None


def ways(
    asset: str, source: Iterable[AssetNetwork], target: Iterable[AssetNetwork]
) -> tuple[tuple[NetworkMatch, ...], tuple[NetworkRefusal, ...]]:
    """Every way for `asset`, cheapest fixed fee first, and why what looks like one is none.

    A network that the other venue has none of is neither: it is in the second part under its own name.
    """
    there = [one for one in target if one.asset == asset]
    found: list[NetworkMatch] = []
    refused: list[NetworkRefusal] = []
    for one in source:
        if one.asset != asset:
            continue
        same = [other for other in there if one.chain is not None and other.chain == one.chain]
        if not same:
            why = "unknown here" if one.chain is None else f"{one.venue} offers it and the other side does not"
            refused.append(NetworkRefusal(asset=asset, network=one.chain or one.name, reason=why))
        for other in same:
            answer = match(one, other)
            if isinstance(answer, NetworkMatch):
                found.append(answer)
            else:
                refused.append(answer)
    return tuple(sorted(found, key=lambda way: (way.source.fee(Decimal(0)), way.id))), tuple(refused)
