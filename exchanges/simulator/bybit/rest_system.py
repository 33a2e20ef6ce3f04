"""`/v5/system`: whether the venue is open. While it is not, what keeps it closed answers."""

from exchanges.simulator.bybit.requests import Call, Endpoint


def status(_: Call) -> dict[str, object]:
    """`system/status`: no maintenance."""
    return {"list": []}


ENDPOINTS = (Endpoint("GET", "/v5/system/status", status),)
