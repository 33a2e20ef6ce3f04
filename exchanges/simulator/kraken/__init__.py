"""A simulated Kraken: spot, as much of its REST interface as ccxt calls, and the v2 stream of quotes and trades."""
