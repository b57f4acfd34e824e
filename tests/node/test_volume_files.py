"""configMap, secret, downwardAPI and projected volumes as containers see them.

Rows storage/configmap-volume, secret-volume, downward-volume, projected, emptydir-wrapper of the conformance suite.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.node.pods import STILL, Namespace, config_map, pod, secret

pytestmark = pytest.mark.node

LIST = 'for f in $(find -L /v -type f ! -path "*/..*" | sort); do echo "$f $(stat -L -c %a $f) $(cat $f)"; done'
"""Every file with its mode and content."""


def mounts(volumes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": each["name"], "mountPath": f"/v/{each['name']}"} for each in volumes]


def projected(name: str, *sources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "projected": {"sources": list(sources), **more}}


def field(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path.rpartition(".")[2], "fieldRef": {"fieldPath": path}, **more}


def amount(resource: str, divisor: str = "1") -> dict[str, Any]:
    return {
        "path": resource,
        "resourceFieldRef": {"containerName": "c0", "resource": resource, "divisor": divisor},
    }


RAW = base64.b64encode(b"raw").decode()
CONFIG = config_map("c", {"data-1": "value-1", "data-2": "value-2"}, binaryData={"raw": RAW})
SECRET = secret("s", {"data-1": "secret-1"})
ITEM = {"key": "data-1", "path": "path/to/data"}
NAMESPACE = field("metadata.namespace", mode=0o400)
AMOUNTS = [amount("limits.cpu", "1m"), amount("requests.cpu", "1m"), amount("limits.memory", "1Mi"),
           amount("requests.memory", "1Mi")]  # fmt: skip


def everything() -> list[dict[str, Any]]:
    """Volumes of every kind; each test of the conformance suite is one or two of them."""
    return [
        {"name": "plain", "configMap": {"name": "c"}},
        {"name": "again", "configMap": {"name": "c", "defaultMode": 0o400}},
        {"name": "mapped", "configMap": {"name": "c", "items": [ITEM]}},
        {"name": "item", "configMap": {"name": "c", "items": [{**ITEM, "mode": 0o400}]}},
        {"name": "splain", "secret": {"secretName": "s"}},
        {"name": "sagain", "secret": {"secretName": "s", "defaultMode": 0o400}},
        {"name": "sitem", "secret": {"secretName": "s", "items": [{**ITEM, "mode": 0o400}]}},
        {
            "name": "down",
            "downwardAPI": {"items": [field("metadata.name"), NAMESPACE]},
        },
        {"name": "amounts", "downwardAPI": {"defaultMode": 0o400, "items": AMOUNTS}},
        projected("pplain", {"configMap": {"name": "c"}}),
        projected("pmode", {"secret": {"name": "s"}}, defaultMode=0o400),
        projected("pitem", {"configMap": {"name": "c", "items": [{**ITEM, "mode": 0o400}]}}),
        projected(
            "pall",
            {"secret": {"name": "s", "items": [{"key": "data-1", "path": "s"}]}},
            {"configMap": {"name": "c", "items": [{"key": "data-1", "path": "c"}]}},
            {"downwardAPI": {"items": [field("metadata.name"), *AMOUNTS]}},
        ),
        {"name": "absent", "configMap": {"name": "absent", "optional": True}},
    ]


def expected(name: str, amounts: dict[str, str]) -> dict[str, str]:
    """File -> mode and content."""
    whole = {"data-1": "value-1", "data-2": "value-2", "raw": "raw"}
    found = {f"plain/{key}": f"644 {value}" for key, value in whole.items()}
    found |= {f"again/{key}": f"400 {value}" for key, value in whole.items()}
    found |= {f"pplain/{key}": f"644 {value}" for key, value in whole.items()}
    found |= {"mapped/path/to/data": "644 value-1", "item/path/to/data": "400 value-1"}
    found |= {"pitem/path/to/data": "400 value-1", "pmode/data-1": "400 secret-1"}
    found |= {
        "splain/data-1": "644 secret-1",
        "sagain/data-1": "400 secret-1",
        "sitem/path/to/data": "400 secret-1",
    }
    found |= {"down/name": f"644 {name}", "down/namespace": "400 {ns}"}
    found |= {f"amounts/{key}": f"400 {value}" for key, value in amounts.items()}
    found |= {f"pall/{key}": f"644 {value}" for key, value in amounts.items()}
    return found | {"pall/s": "644 secret-1", "pall/c": "644 value-1", "pall/name": f"644 {name}"}


def test_volumes_show_every_source_with_names_and_modes(ns: Namespace) -> None:
    volumes = everything()
    asked = pod("asked", LIST, volumes=volumes, mounts=mounts(volumes))
    resources = {"limits": {"cpu": "1250m", "memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}
    asked["spec"]["containers"][0]["resources"] = resources
    unlimited = pod("unlimited", LIST, volumes=volumes, mounts=mounts(volumes))
    other = {**secret("s", {"data-1": "somebody else's"}), "metadata": {"name": "s", "namespace": "default"}}
    ns.machine.kubectl("apply", "-f", "-", stdin=json.dumps(other))
    ns.apply(CONFIG, SECRET, asked, unlimited)

    node = json.loads(ns.machine.kubectl("get", "node", ns.machine.name, "-o", "json"))["status"]["allocatable"]
    amounts = {"limits.cpu": "1250", "requests.cpu": "250", "limits.memory": "64", "requests.memory": "32"}
    whole = {
        "limits.cpu": str(int(node["cpu"]) * 1000),
        "requests.cpu": "0",
        "limits.memory": str(-(-int(node["memory"].removesuffix("Ki")) // 1024)),
        "requests.memory": "0",
    }
    for name, shown in (("asked", amounts), ("unlimited", whole)):
        lines = [line.split(" ", 1) for line in ns.output(name).splitlines()]
        found = {path.removeprefix("/v/"): rest.replace(ns.name, "{ns}") for path, rest in lines}
        assert found == expected(name, shown)


def test_a_non_root_pod_reads_what_its_group_may(ns: Namespace) -> None:
    volumes = [
        {"name": "plain", "configMap": {"name": "c", "items": [ITEM]}},
        {"name": "group", "secret": {"secretName": "s", "defaultMode": 0o440}},
        projected("pgroup", {"secret": {"name": "s"}}, defaultMode=0o440),
        projected("token", {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}}),
    ]
    script = 'id -u; id -G; stat -L -c "%a %u %g" /v/group/data-1 /v/pgroup/data-1 /v/token/token; '
    script += "cat /v/plain/path/to/data /v/group/data-1 /v/pgroup/data-1; test -s /v/token/token"
    security = {"runAsUser": 1000, "fsGroup": 1001}
    ns.apply(CONFIG, SECRET, pod("user", script, volumes=volumes, mounts=mounts(volumes), securityContext=security))
    lines = ns.output("user").splitlines()
    assert lines[0] == "1000"
    assert "1001" in lines[1].split()
    assert lines[2:5] == ["440 0 1001", "440 0 1001", "640 1000 1001"]
    assert lines[5:] == ["value-1secret-1secret-1"]


def test_changes_are_seen_in_running_pods_within_seconds(ns: Namespace) -> None:
    volumes = [
        {"name": "c", "configMap": {"name": "c"}},
        {"name": "s", "secret": {"secretName": "s"}},
        projected("p", {"configMap": {"name": "c"}}, {"secret": {"name": "late", "optional": True}}),
        {"name": "late", "configMap": {"name": "late", "optional": True}},
        {"name": "doomed", "secret": {"secretName": "doomed", "optional": True}},
        {"name": "down", "downwardAPI": {"items": [field("metadata.labels"), field("metadata.annotations")]}},
        projected("pdown", {"downwardAPI": {"items": [field("metadata.labels")]}}),
    ]
    watched = pod("watcher", STILL, volumes=volumes, mounts=mounts(volumes))
    watched["metadata"]["labels"] = {"step": "one"}
    ns.apply(config_map("c", {"k": "one"}), secret("s", {"k": "one"}), secret("doomed", {"k": "here"}), watched)
    ns.running("watcher")
    assert ns.inside("watcher", "cat /v/c/k /v/s/k /v/p/k /v/doomed/k; ls /v/late") == "oneoneonehere"

    ns.apply(config_map("c", {"k": "two", "new": "x"}), secret("s", {"k": "two"}))
    ns.seen("watcher", "cat /v/c/k /v/s/k /v/p/k /v/c/new", "twotwotwox")
    ns.apply(config_map("late", {"k": "at last"}), {**secret("late", {"k2": "too"})})
    ns.seen("watcher", "cat /v/late/k /v/p/k2", "at lasttoo")
    ns.kubectl("delete", "secret/doomed", "configmap/late")
    ns.seen("watcher", "ls /v/doomed /v/late", "/v/doomed:\n\n/v/late:\n")
    ns.kubectl("label", "pod/watcher", "--overwrite", "step=two")
    ns.kubectl("annotate", "pod/watcher", "note=hello")
    ns.seen(
        "watcher",
        "cat /v/down/labels /v/pdown/labels; grep note /v/down/annotations",
        'step="two"step="two"note="hello"\n',
    )


def certificate(name: str) -> str:
    """A self-signed one in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(start).not_valid_after(start + timedelta(days=3650))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def bundle(name: str, *names: str) -> dict[str, Any]:
    """`names` are those of its certificates."""
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "ClusterTrustBundle",
        "metadata": {"name": name},
        "spec": {"trustBundle": "".join(certificate(one) for one in names)},
    }


def test_trust_bundles_are_shown_and_followed(ns: Namespace) -> None:
    name = f"bundle-{ns.name}"
    volumes = [projected("ca", {"clusterTrustBundle": {"name": name, "path": "ca.pem"}})]
    first, second = bundle(name, "one"), bundle(name, "one", "two")
    ns.apply(pod("trusting", STILL, volumes=volumes, mounts=mounts(volumes)))
    why = f'clustertrustbundle "{name}" not found'
    ns.told("trusting", "FailedMount", f'MountVolume.SetUp failed for volume "ca" : {why}')
    ns.apply(first)
    ns.running("trusting")
    ns.apply(second)
    ns.seen("trusting", "grep -c BEGIN /v/ca/ca.pem", "2\n")
    ns.machine.kubectl("delete", "clustertrustbundle", name)


def test_many_config_maps_in_many_pods_start_without_a_mount_failure(ns: Namespace) -> None:
    names = [f"racey-{number}" for number in range(50)]
    volumes = [{"name": name, "configMap": {"name": name, "items": [{"key": "k", "path": "k"}]}} for name in names]
    ns.apply(*(config_map(name, {"k": "v"}) for name in names))
    ns.apply(*(pod(f"p{number}", STILL, volumes=volumes, mounts=mounts(volumes)) for number in range(5)))
    ns.running(*(f"p{number}" for number in range(5)))
    assert ns.inside("p4", "cat /v/*/k | wc -c") == "50\n"
    told = [reason for number in range(5) for reason, _ in ns.events(f"p{number}")]
    assert "FailedMount" not in told


@pytest.mark.parametrize(
    ("source", "why", "cure"),
    [
        ({"configMap": {"name": "c"}}, 'configmap "c" not found', config_map("c", {"k": "v"})),
        ({"secret": {"secretName": "s"}}, 'secret "s" not found', secret("s", {"k": "v"})),
        ({"projected": {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c", "optional": True}}]}},
         'secret "s" not found', secret("s", {"k": "v"})),
    ],
)  # fmt: skip
def test_a_pod_waits_for_its_volumes_and_starts_when_they_can_be_had(
    ns: Namespace, source: dict[str, Any], why: str, cure: dict[str, Any]
) -> None:
    volumes = [{"name": "v", **source}]
    ns.apply(pod("waiter", STILL, volumes=volumes, mounts=mounts(volumes)))
    ns.told("waiter", "FailedMount", f'MountVolume.SetUp failed for volume "v" : {why}')
    assert ns.waiting("waiter") == ("ContainerCreating", "")
    ns.apply(cure)
    ns.running("waiter")


def test_a_missing_key_is_named_and_an_unused_volume_hinders_nobody(ns: Namespace) -> None:
    missing = [{"name": "v", "configMap": {"name": "c", "items": [{"key": "z", "path": "z"}]}}]
    unused = [{"name": "v", "configMap": {"name": "nobody"}}]
    ns.apply(
        CONFIG, pod("key", STILL, volumes=missing, mounts=mounts(missing)), pod("idle", "true", volumes=unused)
    )
    why = "references non-existent config key: z"
    ns.told("key", "FailedMount", f'MountVolume.SetUp failed for volume "v" : {why}')
    ns.output("idle")
