"""From pending pods to bindings: a framework of plugins over a snapshot of the nodes."""
