"""Bybit v5 linear and spot."""
