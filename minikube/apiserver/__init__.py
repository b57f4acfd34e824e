"""The API over HTTPS: from a request to the registry, or to a node, and back."""
