"""TLS, HTTP servers and clients, and connections that stop being HTTP: hijacked, parked, framed."""
