"""What looks at the run from a timer, and reduces, halts or leaves when something is wrong."""
