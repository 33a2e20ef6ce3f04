"""What is asked of a venue: where, signed by whom, how often, and what a refusal means."""
