"""How long a pair is uneven while its venues answer, whatever they answer: on a virtual clock, over many seeds."""

from decimal import Decimal
from functools import partial
from random import Random

from bot.domain.order import Order, OrderStatus, Side
from bot.execution.pair import Pair, PairState
from bot.settings import ExecutionSettings
from tests.unit.pair_bench import PERP, SPOT, Bench

D = Decimal
PAIRS = 400
ANSWERS = ("whole", "whole", "whole", "part", "nothing", "refused")


class Answering(Bench):
    """Answers every order after a while, as the dice fall; market orders are filled, if only in part."""

    def __init__(self, seed: int) -> None:
        super().__init__(ExecutionSettings(), net_edge_bps=20.0, taker_bps=5.0)
        self.dice = Random(seed)

    def submit(self, order: Order) -> None:
        answer = self.dice.choice(ANSWERS) if order.price is not None else self.dice.choice(("whole", "part"))
        self.clock.call_later(self.dice.uniform(0.02, 0.08), partial(self.reply, order, answer))

    def reply(self, order: Order, answer: str) -> None:
        if answer == "refused":
            self.end(order, status=OrderStatus.REJECTED)
            return
        share = {"whole": D(1), "part": D(self.dice.randint(1, 9)) / 10, "nothing": D(0)}[answer]
        filled = order.instrument.floor_quantity(order.quantity * share)
        if filled:
            self.fill(order, filled)
        self.end(order, filled)
        move = self.dice.randint(-8, 8) / 10
        for instrument in (SPOT, PERP):
            self.quote(instrument, 1000.0 + move, 1000.6 + move)


def lived(seed: int) -> tuple[Bench, Pair]:
    here = Answering(seed)
    pair = here.open()
    here.wait(5_000)
    if pair.state is PairState.OPEN:
        here.executor.close(pair, "edge_gone")
        here.wait(5_000)
    return here, pair


def test_with_venues_that_answer_a_pair_is_even_within_a_second() -> None:
    seconds, losses = [], []
    for seed in range(PAIRS):
        here, pair = lived(seed)
        assert pair.state.is_over, f"seed {seed}"
        assert here.halts == [], f"seed {seed}"
        assert abs(pair.imbalance) < D("0.02"), f"seed {seed}"
        seconds += [episode.seconds(0) for episode in pair.episodes]
        losses += [episode.loss_bps for episode in pair.episodes if episode.loss_bps is not None]
    seconds.sort()
    losses.sort()
    at = {name: seconds[int(len(seconds) * part)] for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))}
    print(f"{len(seconds)} episodes, seconds {at}, most {seconds[-1]:.3f}; loss bps p50 {losses[len(losses) // 2]:.1f}")
    assert len(seconds) > PAIRS / 4, "there was something to even"
    assert at["p99"] <= 1.0
    assert seconds[-1] <= 3.0


def test_the_same_dice_fall_the_same_way() -> None:
    runs = [[(kind, key, body) for kind, key, body in lived(7)[0].journal.records] for _ in range(2)]
    assert runs[0] == runs[1]
    assert any(body.get("side") == Side.SELL for _, _, body in runs[0])
