"""One account at one venue: orders on their way, private streams, trade sockets, wallets."""
