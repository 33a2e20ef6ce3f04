"""What the market did: the 24 h window, its rolling statistics, and the gate that quotes pass."""
