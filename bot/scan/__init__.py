"""The scan: what two venues list both, ranked by what is left of a difference after costs."""
