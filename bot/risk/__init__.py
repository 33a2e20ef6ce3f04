"""The only door to the venues: limits, and the gate that asks them."""
