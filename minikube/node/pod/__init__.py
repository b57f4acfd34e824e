"""One pod on its node: what is observed, what it asks for (decide), who does it (worker), what is said (status)."""
