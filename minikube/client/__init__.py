"""How everything but the API server reads and writes objects: clients, informers, events."""

import minikube.transport  # noqa: F401 (before aiohttp)
