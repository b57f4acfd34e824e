"""DenyServiceExternalIPs: nobody adds external addresses to a Service. Off by default.

Rules: kubernetes plugin/pkg/admission/network/denyserviceexternalips.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from minikube.admission.base import Attributes
from minikube.admission.concerns import is_changed, is_new
from minikube.errors import Forbidden


class DenyServiceExternalIPs:
    name: ClassVar[str] = "DenyServiceExternalIPs"

    async def validate(self, request: Attributes) -> None:
        """What was there may stay."""
        if not (is_new(request, "", "services") or is_changed(request, "", "services")):
            return
        if set(_addresses(request.object)) - set(_addresses(request.old)):
            why = "Use of external IPs is denied by admission control."
            raise Forbidden.of("services", "", request.name, why)


def _addresses(service: Mapping[str, Any] | None) -> list[str]:
    return list(((service or {}).get("spec") or {}).get("externalIPs") or ())
