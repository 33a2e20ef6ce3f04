"""`--shadow`: paper money trades, and beside each of its orders a real one of the venue's minimum size."""
