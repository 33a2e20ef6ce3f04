"""Pure decisions: market view in, opportunities out."""
