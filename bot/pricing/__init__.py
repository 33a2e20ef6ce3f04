"""What a route costs and how much of it can be traded."""
