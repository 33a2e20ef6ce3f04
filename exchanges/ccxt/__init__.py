"""Metadata and accounts of Kraken and Coinbase through ccxt, with guards against what it is known to get wrong.

No socket of ccxt is used, and no order is sent through it: see docs/venues.md.
"""
