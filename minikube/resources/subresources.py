"""Kinds that exist only as a subresource of others: what TokenRequest, Scale, Binding and Eviction look like."""

from __future__ import annotations

from minikube.api.authentication_v1 import TokenRequest
from minikube.api.autoscaling_v1 import Scale
from minikube.api.core_v1 import Binding
from minikube.api.policy_v1 import Eviction
from minikube.resources.autoscaling import SCALE_COLUMNS, scale_row
from minikube.resources.declare import REVIEW, declare

TOKEN_REQUEST = declare(TokenRequest, verbs=REVIEW)
SCALE = declare(Scale, verbs=("get", "patch", "update"), columns=SCALE_COLUMNS, row=scale_row)
EVICTION = declare(Eviction, verbs=REVIEW)
BINDING = declare(Binding, verbs=REVIEW)
