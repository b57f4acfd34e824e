"""How everything but the API server reads and writes objects: clients, informers, events."""
