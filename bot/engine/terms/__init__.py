"""What the venues tell of fees, funding, networks and transfers, and how old it is."""
