"""The volumes of a node's pods: a kind of volume a file, and what containers see of them."""
