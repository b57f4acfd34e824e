"""The node looked after: what is measured, what runs short, who is evicted, what is collected and rotated."""
