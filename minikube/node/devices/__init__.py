"""Devices that plugins offer to this node: what there is, who holds which, and what containers get with them."""
