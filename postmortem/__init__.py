"""What happened, read from the journal, never live."""
