"""Frozen values that every part shares. Market data is `float`, money is `Decimal`; times are UTC ns."""
