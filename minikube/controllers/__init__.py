"""The controllers, each one reconciler of one kind of thing. `all` has the list of them."""
