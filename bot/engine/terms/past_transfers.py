"""How long this account's transfers took: put together from both venues' histories, and kept in a small file.

Venues tell the last weeks only, so what was seen once is kept. A withdrawal and a deposit are the same transfer where
they name the same transaction.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bot.domain.network import canonical_transaction
from bot.domain.terms import PastTransfer, WalletMove

_MOST = 10_000
"""The newest that are kept."""
_TRANSFERS: TypeAdapter[list[PastTransfer]] = TypeAdapter(list[PastTransfer])


class PastTransfers:
    """Every transfer that was seen, by its transaction."""

    def __init__(self, path: Path | None, log: Callable[[str, str], None]) -> None:
        """Read what is kept.

        Args:
            path: The file; None keeps nothing over the end of the run.
            log: Takes a level and a line, where the file cannot be read or written.
        """
        self._path = path
        self._log = log
        self._seen: dict[tuple[str, str, str], PastTransfer] = {}
        if path is not None and path.exists():
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            kept = _TRANSFERS.validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            # Times of the past make a distribution narrower; without them it is the model's, which is the safe side.
            self._log("warning", f"past transfers in {path.name} cannot be read ({type(error).__name__}): not used")
            return
        self._seen = {_key(one): one for one in kept}

    def learn(self, moves: Iterable[WalletMove]) -> int:
        """Take what the venues told; answers how many transfers are new, which are then on disk."""
        found = [one for one in joined(moves) if _key(one) not in self._seen]
        self._seen.update((_key(one), one) for one in found)
        if found:
            self._write()
        return len(found)

    def seconds(self, chain: str, source: str, target: str) -> tuple[float, ...]:
        """What transfers over a chain from one venue to another took, ascending; of whatever asset."""
        way = (chain, source, target)
        return tuple(sorted(one.seconds for one in self._seen.values() if (one.chain, one.source, one.target) == way))

    def _write(self) -> None:
        if self._path is None:
            return
        newest = sorted(self._seen.values(), key=lambda one: one.begun_ns)[-_MOST:]
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_text(json.dumps([one.model_dump() for one in newest]))
            beside.replace(self._path)  # whole or not at all
        except OSError as error:
            self._log(
                "warning", f"past transfers cannot be kept ({error.strerror}): they are asked for again next time"
            )


def _key(one: PastTransfer) -> tuple[str, str, str]:
    return (one.source, one.target, one.tx_id)


def joined(moves: Iterable[WalletMove]) -> list[PastTransfer]:
    """Withdrawals with the deposits that they became at another venue, from the asking to the crediting."""
    sent: dict[tuple[str, str, str], WalletMove] = {}
    received: list[WalletMove] = []
    for move in moves:
        if move.chain is None:
            continue
        if move.is_deposit:
            received.append(move)
        else:
            sent[move.asset, move.chain, _transaction(move)] = move
    found = []
    for deposit in received:
        assert deposit.chain is not None
        withdrawal = sent.get((deposit.asset, deposit.chain, _transaction(deposit)))
        if withdrawal is None or withdrawal.venue == deposit.venue or deposit.done_ns <= withdrawal.begun_ns:
            continue
        found.append(
            PastTransfer(
                asset=deposit.asset,
                chain=deposit.chain,
                source=withdrawal.venue,
                target=deposit.venue,
                tx_id=_transaction(deposit),
                begun_ns=withdrawal.begun_ns,
                seconds=(deposit.done_ns - withdrawal.begun_ns) / 1e9,
            )
        )
    return found


def _transaction(move: WalletMove) -> str:
    return canonical_transaction(move.tx_id)
