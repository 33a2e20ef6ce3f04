"""Price differences of one asset between two instruments, after every cost."""
