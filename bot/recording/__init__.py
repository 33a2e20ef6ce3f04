"""What the market says during a run, on its way into the archive; and back into memory after a restart."""
