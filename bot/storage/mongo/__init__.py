"""The shared database: what the journal and the archive hold, delivered to MongoDB exactly once."""
