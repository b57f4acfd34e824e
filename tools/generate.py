"""Writes the built-in structure and the typed objects from the definitions of `kubernetes-validate`.

    python -m tools.generate           write minikube/schema/builtin.json and minikube/api/<group>_<version>.py
    python -m tools.generate --check   exit 1 if what is committed is not what would be written

Only facts are taken (names, types, list types, merge keys); descriptions stay in the package.
"""

from __future__ import annotations

import importlib.util
import json
import keyword
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.kinds import KINDS

ROOT = Path(__file__).resolve().parent.parent
VERSION = "v1.37.0-local"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
JSON_TYPES = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
Schema = dict[str, Any]

# What the wire calls these is known better than what the definitions say of them.
SPECIAL: dict[str, Schema] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string", "format": "quantity"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
    META + "Time": {"type": "string", "format": "date-time"},
    META + "MicroTime": {"type": "string", "format": "date-time-micro"},
    META + "FieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "io.k8s.apimachinery.pkg.runtime.RawExtension": {"x-kubernetes-preserve-unknown-fields": True},
    JSON_TYPES + "JSON": {"x-kubernetes-preserve-unknown-fields": True},
    JSON_TYPES + "JSONSchemaPropsOrArray": {"x-kubernetes-preserve-unknown-fields": True},
    JSON_TYPES + "JSONSchemaPropsOrBool": {"x-kubernetes-preserve-unknown-fields": True},
    JSON_TYPES + "JSONSchemaPropsOrStringArray": {"x-kubernetes-preserve-unknown-fields": True},
    JSON_TYPES + "CustomResourceSubresourceStatus": {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
    },
}
META_KINDS = (
    "APIGroup",
    "APIGroupList",
    "APIResourceList",
    "APIVersions",
    "DeleteOptions",
    "LabelSelector",
    "Status",
    "WatchEvent",
    "Condition",
)
# Fields whose absence says something else than "" or {}.
THREE_VALUED = {
    "DaemonSetSpec.selector",
    "DeploymentSpec.selector",
    "Device.nodeName",
    "DeviceAttribute.string",
    "DeviceAttribute.version",
    "NodeAllocatableMapping.capacityKey",
    "PersistentVolumeClaimSpec.storageClassName",
    "PersistentVolumeClaimSpec.volumeAttributesClassName",
    "ReplicaSetSpec.selector",
    "ResourceSliceSpec.nodeName",
    "StatefulSetSpec.selector",
}


def definitions() -> dict[str, Schema]:
    """All definitions of the pinned release, by full name, without reading the package's own code."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        sys.exit("tools.generate needs the package kubernetes-validate: pip install kubernetes-validate==1.37.0")
    path = Path(spec.origin).parent / "kubernetes-json-schema" / VERSION / "_definitions.json"
    found: dict[str, Schema] = json.loads(path.read_text())["$defs"]
    return found


def clean(schema: Schema) -> Schema:
    """The schema without descriptions, constants and widened null types."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"].rsplit("/", 1)[1]}
    out: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            out[key] = {name: clean(sub) for name, sub in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            out[key] = clean(value)
        elif key == "type":
            out[key] = next(t for t in value if t != "null") if isinstance(value, list) else value
        elif key in ("required", "format") or (key.startswith("x-kubernetes-") and key != "x-kubernetes-unions"):
            out[key] = value
    return out


def references(schema: Schema) -> Iterator[str]:
    """Names of the definitions that this one refers to directly."""
    if "$ref" in schema:
        yield schema["$ref"]
    for sub in schema.get("properties", {}).values():
        yield from references(sub)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from references(schema[key])


def by_kind(raw: dict[str, Schema]) -> dict[tuple[str, str], str]:
    """(apiVersion, kind) -> full name of its definition."""
    found: dict[tuple[str, str], str] = {}
    for name, schema in raw.items():
        for gvk in schema.get("x-kubernetes-group-version-kind", ()):
            api_version = f"{gvk['group']}/{gvk['version']}" if gvk["group"] else gvk["version"]
            found.setdefault((api_version, gvk["kind"]), name)
    return found


def structure(raw: dict[str, Schema]) -> dict[str, Schema]:
    """Every definition that a served kind reaches, cleaned, by full name."""
    kinds = by_kind(raw)
    pending = [META + kind for kind in META_KINDS]
    for api_version, kind, _, _ in KINDS:
        pending.append(kinds[api_version, kind])
        if (api_version, kind + "List") in kinds:
            pending.append(kinds[api_version, kind + "List"])
    out: dict[str, Schema] = {}
    while pending:
        name = pending.pop()
        if name in out:
            continue
        out[name] = SPECIAL.get(name) or clean(raw[name])
        pending += references(out[name])
    for api_version, kind, _, _ in KINDS:
        for suffix in ("", "List"):
            if (api_version, kind + suffix) in kinds:
                group, _, version = api_version.rpartition("/")
                out[kinds[api_version, kind + suffix]]["x-kubernetes-group-version-kind"] = [
                    {"group": group, "kind": kind + suffix, "version": version}
                ]
    for name, schema in out.items():
        if name.startswith(META):
            schema.pop("x-kubernetes-group-version-kind", None)
    return dict(sorted(out.items()))


# ---- typed objects -------------------------------------------------------------------------------------


def module_of(name: str) -> str:
    """io.k8s.api.core.v1.Pod -> core_v1; the module that a definition's type lives in."""
    return "_".join(name.rsplit(".", 3)[1:3])


def snake(name: str) -> str:
    """clusterIPs -> cluster_ips, hostPID -> host_pid, x-kubernetes-map-type -> x_kubernetes_map_type."""
    name = name.replace("$", "").replace("-", "_")
    name = re.sub(r"([A-Z]+)s(?![a-z])", lambda m: m.group(1).capitalize() + "s", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    return name + "_" if keyword.iskeyword(name) or name in ("int", "bool") else name


def camel(name: str) -> str:
    """What msgspec's rename="camel" makes of an attribute name."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


class Types:
    """Python source for the types of every definition in `schemas`, a module a group version."""

    def __init__(self, schemas: dict[str, Schema]) -> None:
        self.schemas = {n: s for n, s in schemas.items() if n not in SPECIAL}
        kinds = by_kind(schemas)
        self.kind_of = {kinds[k[0], k[1]]: k for k in KINDS if (k[0], k[1]) in kinds}

    def skipped(self, name: str) -> bool:
        """Lists and discovery documents have no types; ObjectMeta is written by hand in api/meta.py."""
        short = name.rsplit(".", 1)[1]
        return name in (
            META + "ObjectMeta",
            META + "ListMeta",
            META + "ManagedFieldsEntry",
            META + "OwnerReference",
        ) or (short.endswith("List") and "items" in self.schemas[name].get("properties", {}))

    def annotation(self, schema: Schema, module: str) -> str:
        """The Python type of a (non-null) value with this schema."""
        ref = schema.get("$ref")
        if ref:
            return self.reference(ref, module)
        kind = schema.get("type")
        if kind == "array":
            return f"tuple[{self.annotation(schema['items'], module)}, ...]"
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return f"Mapping[str, {self.annotation(schema['additionalProperties'], module)}]"
        if kind == "object":
            return "Mapping[str, Any]"
        return {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}.get(str(kind), "Any")

    def reference(self, ref: str, module: str) -> str:
        if ref in SPECIAL:
            return {
                "quantity": "Quantity",
                "int-or-string": "int | str",
                "date-time": "datetime",
                "date-time-micro": "datetime",
            }.get(str(SPECIAL[ref].get("format")), "Any")
        short = ref.rsplit(".", 1)[1]
        if ref.startswith(META) and self.skipped(ref):
            return short
        return short if module_of(ref) == module else f"{module_of(ref)}.{short}"

    def field(self, owner: str, name: str, schema: Schema, module: str) -> str:
        required = name in self.schemas[owner].get("required", ())
        annotation = self.annotation(schema, module)
        factory = ""
        three_valued = f"{owner.rsplit('.', 1)[1]}.{name}" in THREE_VALUED
        if annotation.startswith("tuple["):
            default, factory = "()", "tuple"
        elif annotation.startswith("Mapping["):
            default, factory = "{}", "dict"
        elif annotation == "str" and not three_valued:
            default, factory = '""', "str"
        elif annotation in ("int", "bool", "float") and required:
            default, factory = "0", annotation
        elif "$ref" in schema and schema["$ref"] not in SPECIAL:
            top = name in ("metadata", "spec", "status") and (
                owner in self.kind_of or owner.endswith("TemplateSpec")
            )
            same = f"{annotation}()"
            recursive = owner in self.reach(schema["$ref"])
            if top and not recursive:
                default = same
            elif required and not recursive and not three_valued:
                default, factory = same, annotation
            else:
                annotation, default, required = f"{annotation} | None", "None", False
        else:
            annotation, default, required = f"{annotation} | None", "None", False
        if annotation.startswith("Any | None"):
            annotation = "Any"
        attribute = snake(name)
        args = [f"default_factory={factory}"] if required and factory else [f"default={default}"]
        if camel(attribute) != name:
            args.append(f'name="{name}"')
        value = f"field({', '.join(args)})" if len(args) > 1 or "factory" in args[0] else default
        return f"    {attribute}: {annotation} = {value}"

    def reach(self, name: str) -> set[str]:
        seen: set[str] = set()
        pending = [name]
        while pending:
            one = pending.pop()
            if one not in seen and one in self.schemas:
                seen.add(one)
                pending += references(self.schemas[one])
        return seen

    def struct(self, name: str, module: str) -> str:
        short = name.rsplit(".", 1)[1]
        properties = self.schemas[name].get("properties", {})
        if name in self.kind_of:
            api_version, kind, plural, namespaced = self.kind_of[name]
            group, _, version = api_version.rpartition("/")
            lines = [
                f"class {short}(Object, frozen=True):",
                f'    resource: ClassVar[Resource] = Resource("{group}", "{version}", "{kind}", "{plural}", '
                f"namespaced={namespaced})",
                f'    api_version: str = const("{api_version}")',
                f'    kind: str = const("{kind}")',
            ]
            properties = {n: s for n, s in properties.items() if n not in ("apiVersion", "kind", "metadata")}
        else:
            lines = [f"class {short}(Part, frozen=True):"]
        fields = [self.field(name, n, s, module) for n, s in properties.items()]
        return "\n".join(lines + (fields or ([] if len(lines) > 1 else ["    pass"])))

    def sources(self) -> dict[str, str]:
        """module name -> source."""
        modules: dict[str, list[str]] = {}
        done: set[str] = set()

        def visit(name: str) -> None:
            if (
                name in done
                or name not in self.schemas
                or self.skipped(name)
                or "properties" not in self.schemas[name]
            ):
                if (
                    name not in done
                    and name in self.schemas
                    and not self.skipped(name)
                    and self.schemas[name].get("type") == "object"
                ):
                    done.add(name)
                    modules.setdefault(module_of(name), []).append(self.struct(name, module_of(name)))
                return
            done.add(name)
            for ref in references(self.schemas[name]):
                visit(ref)
            modules.setdefault(module_of(name), []).append(self.struct(name, module_of(name)))

        for name in self.schemas:
            if not name.startswith(META):
                visit(name)
        return {f"{module}.py": self.source(module, structs) for module, structs in modules.items()}

    def source(self, module: str, structs: list[str]) -> str:
        body = "\n\n\n".join(structs)
        needed = sorted(m for m in set(re.findall(r"\b([a-z0-9]+_v[0-9][a-z0-9]*)\.[A-Z]", body)) if m != module)
        names = [
            n
            for n in ("Object", "OwnerReference", "ObjectMeta", "ListMeta", "Part", "Quantity", "Resource", "const")
            if re.search(rf"\b{n}\b", body)
        ]
        typing = [n for n in ("Any", "ClassVar") if re.search(rf"\b{n}\b", body)]
        head = [
            '"""Generated by tools/generate.py from the definitions of Kubernetes 1.37: do not edit."""',
            "",
            "from __future__ import annotations",
            "",
        ]
        if "Mapping[" in body:
            head.append("from collections.abc import Mapping")
        if "datetime" in body:
            head.append("from datetime import datetime")
        if typing:
            head.append(f"from typing import {', '.join(typing)}")
        if re.search(r"\bfield\(", body):
            head += ["", "from msgspec import field"]
        head.append("")
        if needed:
            head.append(f"from minikube.api import {', '.join(needed)}")
        head.append(f"from minikube.api.meta import {', '.join(sorted(names))}")
        return "\n".join(head) + "\n\n\n" + body + "\n"


def outputs() -> dict[Path, str]:
    schemas = structure(definitions())
    compact = ",\n".join(
        f"{json.dumps(n)}:{json.dumps(s, separators=(',', ':'), sort_keys=True)}" for n, s in schemas.items()
    )
    out = {ROOT / "minikube" / "schema" / "builtin.json": "{\n" + compact + "\n}\n"}
    for name, source in Types(schemas).sources().items():
        out[ROOT / "minikube" / "api" / name] = source
    return out


def main() -> None:
    stale = [path for path, text in outputs().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        sys.exit(f"not what tools/generate.py makes: {', '.join(map(str, stale))}" if stale else 0)
    for path, text in outputs().items():
        path.write_text(text)
    print(f"{len(stale)} files changed")


if __name__ == "__main__":
    main()
