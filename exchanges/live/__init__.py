"""The real exchanges as a market."""
