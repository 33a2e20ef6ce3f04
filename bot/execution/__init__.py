"""From an approved opportunity to a flat book: pairs, and the ledger of what they did."""
