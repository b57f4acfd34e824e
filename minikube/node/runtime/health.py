"""grpc.health.v1.Health/Check, as a gRPC probe asks it (pkg/probe/grpc). Lives here because grpc does."""

from __future__ import annotations

import grpc
import grpc.aio

from minikube.node.runtime.wire import decode, encode

METHOD = "/grpc.health.v1.Health/Check"
SERVING = 1
STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")


async def check(address: str, service: str, timeout: float) -> str:
    """Why it is not healthy, or "". `address` is host:port; `timeout` in seconds is for all of it."""
    options = (("grpc.primary_user_agent", "kube-probe/1.37"), ("grpc.enable_http_proxy", 0))
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        call = channel.unary_unary(METHOD)
        try:
            answer = await call(encode((1, service)), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return _why(error, address, timeout)
    found = dict(decode(answer)).get(1, 0)
    if found == SERVING:
        return ""
    name = STATUSES[found] if isinstance(found, int) and found < len(STATUSES) else str(found)
    return f'service unhealthy (responded with "{name}")'


def _why(error: grpc.aio.AioRpcError, address: str, timeout: float) -> str:
    code = error.code()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        what = "this server does not implement the grpc health protocol (grpc.health.v1.Health)"
        return f"error: {what}: {error.details()}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"timeout: health rpc did not complete within {timeout:g}s"
    if code is grpc.StatusCode.UNAVAILABLE:
        return f'timeout: failed to connect service "{address}" within {timeout:g}s: context deadline exceeded'
    return f"error: health rpc failed: {error.details()}"
