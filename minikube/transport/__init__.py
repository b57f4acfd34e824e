"""TLS, HTTP servers and clients, and connections that stop being HTTP: hijacked, parked, framed."""

import minikube.transport.aiohttp_first  # noqa: F401
