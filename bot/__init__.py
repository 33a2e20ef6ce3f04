"""The machine: it names no venue and no strategy."""
