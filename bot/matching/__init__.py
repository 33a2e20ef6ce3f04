"""One matching engine for the paper venue, the simulated exchanges and the backtest."""
