"""An account that pays its fees otherwise in the middle of a run, asked over real sockets."""

from collections.abc import Awaitable
from decimal import Decimal

from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.fees import FeeSchedule
from bot.engine.terms.known import Terms
from bot.engine.terms.past_transfers import PastTransfers
from bot.engine.terms.terms_desk import TermsDesk
from bot.ports import RecordKind
from bot.settings import EndpointSettings, Settings
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.terms import terms_sources
from tests.integration.sim_fault_venue_rig import Here, connected
from tests.unit.test_engine_decisions import LINEAR, SPOT, Bench, in_position

D = Decimal


def desk_of(bench: Bench, here: Here) -> TermsDesk:
    place = EndpointSettings(rest_url=here.sim.http)
    settings = Settings(venues={"binance": {"spot": place, "linear": place}})
    keys = ApiKeys(key=SecretStr(here.sim.key), secret=SecretStr(here.sim.secret))
    by_feed = {SPOT.feed: {"ETHUSDT": SPOT}, LINEAR.feed: {"ETHUSDT": LINEAR}}
    terms = Terms(
        terms_sources(by_feed, settings, SystemClock(), {"binance": keys}), bench.instruments, {}, settings,
        bench.clock, lambda *_: None, PastTransfers(None, lambda *_: None),
    )  # fmt: skip
    asking: list[Awaitable[None]] = []
    return TermsDesk(terms, bench.engine, bench.clock, {LINEAR.feed: 0.0}, asking.append)


async def test_a_token_that_is_switched_off_makes_every_fee_dearer_from_the_next_question_on() -> None:
    async with connected(fees_in_bnb=True) as here:
        bench = in_position()
        desk = desk_of(bench, here)
        await desk.refresh()
        spot, linear = bench.engine.slots
        assert (spot.fees and spot.fees.token, linear.fees and linear.fees.token) == ("BNB", "BNB")
        (route,) = [state for state in bench.engine.routes if state.holding is not None]
        assert route.holding is not None
        before = route.holding.fees_bps
        told = len([body for body in bench.journal.of(RecordKind.EVENT) if "fees" in body])
        await here.binance("POST", "/fapi/v1/feeBurn", feeBurn="false")
        await desk.refresh()
        assert (spot.fees and spot.fees.token, linear.fees and linear.fees.token) == ("BNB", None)
        # Closing the perpetual takes the tenth of 5 bps that is not saved any more.
        assert round(route.holding.fees_bps - before, 9) == 0.5
        (event,) = [body for body in bench.journal.of(RecordKind.EVENT) if "fees" in body][told:]
        assert event["text"] == (
            "binance.linear: fees are taker 5 bps, maker 2 bps (account); "
            "they were taker 5 bps, maker 2 bps less 10 % in BNB"
        )
        assert FeeSchedule.model_validate(event["fees"][LINEAR.id]) == linear.fees
