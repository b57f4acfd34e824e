"""Pod addresses, services and names on one node, by netlink and one nftables table of our own."""
