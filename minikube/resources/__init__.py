"""The kinds that the API serves: what each is, holds and refuses. `all` has the table of them."""
