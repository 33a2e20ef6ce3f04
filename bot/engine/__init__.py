"""The path from a quote to a decision, and the run around it."""
