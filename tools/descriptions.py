"""Writes minikube/schema/descriptions.json.gz, the texts of `kubectl explain`, from `kubernetes-validate`.

    python -m tools.descriptions

Not committed: the build hook in setup.py makes it for the wheel; without it the documents have no texts.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from tools.generate import ROOT, definitions

TARGET = Path("minikube") / "schema" / "descriptions.json.gz"


def texts(known: set[str]) -> dict[str, dict[str, str]]:
    """definition -> field (or "" for itself) -> text, for the definitions that are known."""
    out: dict[str, dict[str, str]] = {}
    for name, schema in definitions().items():
        if name not in known:
            continue
        found = {"": schema.get("description", "")}
        found |= {field: sub.get("description", "") for field, sub in schema.get("properties", {}).items()}
        out[name] = {field: text for field, text in found.items() if text}
    return out


def write(root: Path) -> Path:
    """Write the file below this root, the same bytes every time."""
    known = set(json.loads((ROOT / "minikube" / "schema" / "builtin.json").read_text()))
    packed = gzip.compress(json.dumps(texts(known), sort_keys=True, separators=(",", ":")).encode(), 9, mtime=0)
    target = root / TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(packed)
    return target


if __name__ == "__main__":
    print(write(ROOT))
