"""The market that the simulated exchanges show: books, trades, marks and funding, from one seed."""
