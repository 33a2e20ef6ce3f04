"""How long each route has shown an edge that others would have taken away."""

from math import isfinite


class EdgeHistory:
    """Remembers since when a route's gross edge has been above the suspicious one without a break.

    Real edges are taken by somebody within a second (half of those above 5 bps live for 40 ms); what stays is another
    coin under the same ticker, a venue that pays nothing out, or a contract of another size.
    """

    __slots__ = ("_since_ns", "suspicious_bps")

    def __init__(self, suspicious_bps: float) -> None:
        self.suspicious_bps = suspicious_bps
        """An edge above it is."""
        self._since_ns: dict[str, int] = {}

    def observe(self, route: str, gross_bps: float | None, now_ns: int) -> None:
        """The edge now; None, while a side has no quote, neither begins nor ends anything."""
        if gross_bps is None:
            return
        if not gross_bps <= self.suspicious_bps:
            self._since_ns.setdefault(route, now_ns)
        else:
            self._since_ns.pop(route, None)

    def stood_s(self, route: str, gross_bps: float, now_ns: int) -> float | None:
        """Seconds that it has stood, this edge included; 0 when it is not suspicious, None when it is no number."""
        if not isfinite(gross_bps):
            return None
        self.observe(route, gross_bps, now_ns)
        since_ns = self._since_ns.get(route)
        return 0.0 if since_ns is None else (now_ns - since_ns) / 1e9
