"""Kraken spot: what its own reader of the v2 stream needs. ccxt's check of the books' checksums crashes."""
