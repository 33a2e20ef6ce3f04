"""Bybit v5 as clients see it: HTTP and WebSockets in front of a simulated exchange."""
