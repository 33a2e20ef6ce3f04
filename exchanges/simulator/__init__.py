"""Markets that this project makes itself."""
