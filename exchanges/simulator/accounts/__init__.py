"""A simulated venue's customers: keys, wallets, orders, positions, and money on its way. No protocol."""
