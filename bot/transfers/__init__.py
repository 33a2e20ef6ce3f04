"""Money that moves between wallets and venues: who may send it, and what became of it."""
