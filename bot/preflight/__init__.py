"""What is looked at before the first order: small functions that answer with checks, and change nothing."""
