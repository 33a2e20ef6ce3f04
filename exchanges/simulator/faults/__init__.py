"""What goes wrong on command: each fault alone, or many by a seeded schedule. The parts of the venues ask the desk."""
