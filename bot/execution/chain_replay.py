"""A chain as its journal left it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bot.domain.route import Opportunity
from bot.execution.chain import Chain, Travel
from bot.execution.pair import PairState


def rebuilt_chain(
    chain_id: str, opportunity: Opportunity, body: Mapping[str, Any], carried: Mapping[str, str]
) -> Chain:
    """A chain by its newest record, its orders and fills left out.

    Args:
        chain_id: Its name.
        opportunity: What was decided, links included.
        body: Of its newest record.
        carried: What lay at its places beside its fills, by the place's number: the newest told, units of the asset.

    Raises:
        KeyError, ValueError, TypeError: If the record is not what this version writes.
    """
    chain = Chain(chain_id, opportunity, opened_ns=body["ts_open_ns"], state=PairState(body["state"]))
    chain.close_reason = body["close_reason"]
    chain.dust = {chain.places[int(at)]: Decimal(amount) for at, amount in carried.items()}
    for told in body["travels"]:
        chain.depart(Travel.of(told))
    return chain
