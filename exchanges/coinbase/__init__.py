"""Coinbase spot: its own reader of Advanced Trade's stream, whose sequence ccxt ignores; metadata through ccxt."""
