"""Pod templates: told apart by a hash that is safe in names and labels."""

from __future__ import annotations

import hashlib

import msgspec

from minikube.api.core_v1 import PodTemplateSpec
from minikube.api.meta import encode

ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels: no words (k8s.io/apimachinery/pkg/util/rand)."""


def template_hash(template: PodTemplateSpec, collisions: int) -> str:
    digest = hashlib.sha256(encode(template) + str(collisions).encode()).digest()
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in digest[:10])


def without_label(template: PodTemplateSpec, label: str) -> PodTemplateSpec:
    labels = {key: value for key, value in template.metadata.labels.items() if key != label}
    return msgspec.structs.replace(template, metadata=msgspec.structs.replace(template.metadata, labels=labels))
