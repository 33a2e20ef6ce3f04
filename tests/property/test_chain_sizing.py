"""The size of a chain: no quantity on the grids earns more, and every link pays with what the one before it brought."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import event, given
from hypothesis import strategies as st

from bot.domain.route import Link
from bot.pricing.chain import Sending, Stage, Trading, walk
from bot.pricing.chain_sizing import Asked, best_chain
from bot.pricing.sizing import Cap

D = Decimal


@st.composite
def trading(draw: st.DrawFn, price: float, *, buys: bool, scale: float = 1.0) -> Trading:
    """A book around a price; quantities of about `scale`."""
    steps = draw(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 40)), min_size=1, max_size=3))
    sign, at, levels = 1 if buys else -1, price * (1 + draw(st.integers(-20, 20)) / 1e4), []
    for step, quantity in steps:
        levels.append((round(at, 6), round(quantity * scale / 10, 6)))
        at *= 1 + sign * step / 1e4
    lot = D(draw(st.sampled_from(["0.1", "0.5", "0.3"]))) * D(repr(scale))
    keeps = D(1) - D(draw(st.integers(0, 20))) / 10_000
    return Trading(
        levels=tuple((D(repr(p)), D(repr(q))) for p, q in levels),
        floats=levels,
        buys=buys,
        keeps=keeps,
        keeps_float=float(keeps),
        lot=lot,
        min_quantity=max(lot, lot * draw(st.integers(0, 3))),
        min_notional=D(draw(st.sampled_from(["0", "30", "90"]))) * D(repr(scale)),
    )


@st.composite
def rings(draw: st.DrawFn) -> tuple[Stage, ...]:
    """Three trades whose prices nearly agree: one amount bought, turned and sold, or sold in the middle."""
    first = draw(trading(100.0, buys=True))
    if draw(st.booleans()):
        return first, draw(trading(20.0, buys=True, scale=0.1)), draw(trading(2000.0, buys=False, scale=0.1))
    return first, draw(trading(5.0, buys=False)), draw(trading(20.0, buys=False, scale=10.0))


@st.composite
def sent(draw: st.DrawFn) -> tuple[Stage, ...]:
    """Bought here, sent, and sold there."""
    first, last = draw(trading(100.0, buys=True)), draw(trading(100.2, buys=False))
    fee, ratio = draw(st.sampled_from(["0", "0.001", "0.07"])), draw(st.sampled_from(["0", "0.0005"]))
    sending = Sending(
        fee=D(fee),
        ratio=D(ratio),
        least=D(draw(st.sampled_from(["0.1", "1"]))),
        most=draw(st.sampled_from([None, D(3)])),
        step=D(draw(st.sampled_from(["0", "0.01"]))),
    )
    return first, sending, last


chains = st.one_of(rings(), sent())
asked = st.builds(
    Asked,
    fixed_bps=st.floats(-200, 20),
    scaled_bps=st.floats(0, 5),
    min_net_bps=st.floats(0, 5),
    rate=st.sampled_from([1.0, 1.0, 0.999]),
)
caps = st.lists(st.builds(Cap, name=st.sampled_from(["wallet", "order"]), quantity=st.floats(0.05, 12)), max_size=2)


def earned(links: Sequence[Link], chain: Sequence[Stage], terms: Asked) -> float:
    """By hand, from the definition."""
    ratio = 1.0
    for link, stage in zip(links, chain, strict=True):
        if isinstance(stage, Trading):
            ratio *= 1 / link.price if stage.buys else link.price
    left, home = float(links[0].spends), float(links[-1].brings) * terms.rate
    costs = terms.fixed_bps + terms.min_net_bps + terms.scaled_bps * ratio * terms.rate
    return home - left - left * costs / 1e4


def every(chain: Sequence[Stage], most: float) -> list[tuple[Link, ...]]:
    """What each quantity of the first link's grid makes of itself, where every link takes it."""
    first = chain[0]
    assert isinstance(first, Trading)
    walked = [walk(chain, n * first.lot) for n in range(1, int(most / float(first.lot)) + 2)]
    return [links for links in walked if not isinstance(links, str) and float(links[0].quantity) <= most]


@given(chain=chains, terms=asked, limits=caps)
def test_no_quantity_that_every_link_takes_earns_more(
    chain: tuple[Stage, ...], terms: Asked, limits: list[Cap]
) -> None:
    size = best_chain(chain, terms, limits)
    first = chain[0]
    assert isinstance(first, Trading)
    most = min([float(sum(q for _, q in first.levels)), *(cap.quantity for cap in limits)])
    found = [earned(links, chain, terms) for links in every(chain, most)]
    best = max(found, default=-1.0)
    event(f"taken: {bool(size.links)}, {len(chain)} links, {size.limit}")
    if size.links:
        assert earned(size.links, chain, terms) >= best - 1e-9
        assert size.gain >= 0.0
        assert abs(size.gain - earned(size.links, chain, terms)) < 1e-9
        assert float(size.quantity) <= most
    else:
        assert best <= 1e-9


@given(chain=chains, terms=asked, limits=caps)
def test_every_link_is_on_its_grid_and_pays_with_what_was_brought(
    chain: tuple[Stage, ...], terms: Asked, limits: list[Cap]
) -> None:
    size = best_chain(chain, terms, limits)
    if not size.links:
        return
    assert size.quantity == size.links[0].quantity
    at_hand = None
    for stage, link in zip(chain, size.links, strict=True):
        assert at_hand is None or link.spends <= at_hand
        if isinstance(stage, Sending):
            assert link.brings == link.spends - stage.fee - stage.ratio * link.spends
            assert link.quantity >= stage.least
            assert stage.most is None or link.quantity <= stage.most
            assert not stage.step or link.quantity % stage.step == 0
        else:
            notional = stage.notional(link.quantity)
            assert notional is not None
            assert link.quantity % stage.lot == 0
            assert link.quantity >= stage.min_quantity
            assert notional >= stage.min_notional
            assert link.spends == (notional if stage.buys else link.quantity)
            assert link.brings == (link.quantity if stage.buys else notional) * stage.keeps
        at_hand = link.brings


@given(chain=rings(), terms=asked, cap=st.floats(0.05, 12), more=st.floats(1, 3))
def test_a_larger_wallet_never_earns_less(chain: tuple[Stage, ...], terms: Asked, cap: float, more: float) -> None:
    before, after = (best_chain(chain, terms, [Cap("wallet", most)]) for most in (cap, cap * more))
    assert after.gain >= before.gain - 1e-9 or not before.links
    assert after.links or not before.links
