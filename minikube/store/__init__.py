"""A revisioned key-value store with watch; it knows bytes and revisions, no Kubernetes."""
