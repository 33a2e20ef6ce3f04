"""What is kept: the journal, raw recordings, and the questions asked of them."""
