"""One `Actions` over several venues."""
