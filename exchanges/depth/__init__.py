"""Order books of every venue that has them."""
