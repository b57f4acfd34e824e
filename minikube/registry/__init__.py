"""The API's rules for every kind over a store: reading from a watch cache, writing step by step."""
