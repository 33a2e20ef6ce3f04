"""Kraken spot: its own reader of the v2 stream, since ccxt's check of checksums crashes; metadata through ccxt."""
