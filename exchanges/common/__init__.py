"""What every venue needs: a supervised socket, the clock offset."""
