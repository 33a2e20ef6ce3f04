"""`exact` and the decimal context of whoever calls it."""

import threading
from decimal import Decimal, Inexact, getcontext, localcontext

import pytest

from bot.matching.cash import exact

THIRD = (Decimal(1), Decimal(3))


@exact
def product(one: Decimal, other: Decimal) -> Decimal:
    return one * other


@exact
def quotient(one: Decimal, other: Decimal) -> Decimal:
    return one / other


@exact
def nested(one: Decimal, other: Decimal) -> Decimal:
    doubled = product(one, other) + product(one, other)
    # The inner call has ended, and this is exact still.
    return doubled * other


def test_nothing_is_rounded_within_and_the_caller_is_left_as_it_was() -> None:
    long = Decimal("1." + "1" * 40)
    with localcontext() as context:
        context.prec = 5
        assert len(product(long, long).as_tuple().digits) == 81
        assert len(nested(long, long).as_tuple().digits) > 81
        assert getcontext().prec == 5
        assert len((long * long).as_tuple().digits) == 5


def test_what_cannot_be_exact_raises_and_the_caller_is_left_as_it_was() -> None:
    before = getcontext()
    for _ in range(2):
        with pytest.raises(Inexact):
            quotient(*THIRD)
        assert getcontext() is before
    assert len((THIRD[0] / THIRD[1]).as_tuple().digits) == 28


def test_an_inner_failure_leaves_the_outer_one_exact() -> None:
    long = Decimal("1." + "1" * 40)

    @exact
    def outer() -> Decimal:
        with pytest.raises(Inexact):
            quotient(*THIRD)
        return long * long

    assert len(outer().as_tuple().digits) == 81


def test_a_context_entered_within_is_not_taken_for_the_exact_one() -> None:
    long = Decimal("1." + "1" * 40)

    @exact
    def outer() -> tuple[Decimal, Decimal, Decimal]:
        with localcontext() as context:
            context.prec = 5
            context.traps[Inexact] = False
            rounded, inner = long * long, product(long, long)
        return rounded, inner, long * long

    assert [len(value.as_tuple().digits) for value in outer()] == [5, 81, 81]


def test_threads_do_not_share_it() -> None:
    seen: list[int] = []

    @exact
    def outer() -> None:
        thread = threading.Thread(target=lambda: seen.append(getcontext().prec))
        thread.start()
        thread.join()

    outer()
    assert seen == [28]
