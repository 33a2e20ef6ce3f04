"""What `--mode` names: each builds the parts that it needs, and runs them."""
