"""What every simulated exchange is made of: a market, and accounts that trade on it. No protocol."""
