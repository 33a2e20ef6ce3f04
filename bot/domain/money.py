"""Whose money it is, in the words that every screen, log and report uses."""

REAL = "REAL MONEY"
TEST = "test money"
PAPER = "paper money"


def money_words(market: str, real_money: bool) -> str:
    """`REAL MONEY`; `test money` on the exchanges' test systems; else `paper money`."""
    if real_money:
        return REAL
    return TEST if market == "testnet" else PAPER
