"""How fast the bot is, against targets and against its peers: `python -m benchmarks`."""
