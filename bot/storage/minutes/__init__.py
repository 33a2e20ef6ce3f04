"""Minute rows: what each minute traded, and how the book stood at its end."""
