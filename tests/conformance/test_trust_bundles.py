"""auth/trust-bundles: certificates of ClusterTrustBundles in the files of pods."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, condition, pod, shell

pytestmark = pytest.mark.conformance

KIND = "certificates.k8s.io/v1/ClusterTrustBundle"
FAMILY = "should be capable to mount multiple trust bundles by signer+labels "
PREVENT = "should prevent a pod from starting if: "


@cache
def certificate(name: str) -> str:
    """A self-signed CA, in PEM."""
    key, subject = Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, None)
    )
    return made.public_bytes(Encoding.PEM).decode()


def bundle(space: Space, name: str, text: str, signer: str = "", **labels: str) -> str:
    """Its name, which begins with that of its signer."""
    full = f"{signer.replace('/', ':')}:{name}" if signer else name
    meta = {"name": full, "labels": {"of": space.name, **labels}}
    spec = {"trustBundle": text, **({"signerName": signer} if signer else {})}
    space.create(
        {"apiVersion": "certificates.k8s.io/v1", "kind": "ClusterTrustBundle", "metadata": meta, "spec": spec}
    )
    return full


@pytest.fixture
def signer(space: Space):
    """Of three bundles: alive, alive, dead; another's and nobody's are beside."""
    found = f"test.test/one-{space.name}"
    for name, alive in (("a", "true"), ("b", "true"), ("c", "false")):
        bundle(space, name, certificate(name), found, alive=alive)
    bundle(space, "a", certificate("other"), f"test.test/two-{space.name}", alive="true")
    bundle(space, f"test.test.{space.name}", certificate("nobody"))
    yield found
    space.http.delete(space.path(KIND, labelSelector=f"of={space.name}")).ok()


def reader(name: str, *sources: Obj, **spec: object) -> Obj:
    """A container for each source prints its file."""
    made = pod(name, **spec)
    first = made["spec"]["containers"].pop()
    made["spec"]["volumes"] = []
    for number, source in enumerate(sources):
        script = f"cat /ctb/{source['path']}; stat -L -c %a /ctb/{source['path']}"
        mounts = [{"name": f"v{number}", "mountPath": "/ctb"}]
        made["spec"]["containers"].append(
            {**first, "name": f"c{number}", "command": list(shell(script)), "volumeMounts": mounts}
        )
        made["spec"]["volumes"].append(
            {"name": f"v{number}", "projected": {"sources": [{"clusterTrustBundle": source}]}}
        )
    return made


def printed(space: Space, name: str, container: str = "c0") -> tuple[set[str], str]:
    """The certificates and the mode of the file."""
    text = space.logs(name, container)
    found = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", text, re.DOTALL)
    return set(found), text.splitlines()[-1]


def anchors(*names: str) -> set[str]:
    return {certificate(name) for name in names}


@row("should be able to mount a single ClusterTrustBundle by name")
def test_a_bundle_by_its_name(space: Space, signer: str):
    space.finish(reader("named", {"name": f"test.test.{space.name}", "path": "trust-anchors.pem"}))
    assert printed(space, "named") == (anchors("nobody"), "644")
    space.finish(reader("missing", {"name": "does-not-exist", "path": "anchors.pem", "optional": True}))
    assert printed(space, "missing") == (set(), "644")


@row(
    FAMILY + "can combine all signer CTBs with an empty label selector",
    FAMILY + "can combine multiple CTBs with signer name and label selector",
    FAMILY + "should start if only signer name and explicit label selector matches nothing + optional=true",
    FAMILY + "should start if only signer name and nil label selector + optional=true",
)
def test_the_bundles_of_a_signer(space: Space, signer: str):
    cases: dict[str, tuple[Obj, set[str]]] = {
        "all": ({"labelSelector": {}}, anchors("a", "b", "c")),
        "some": ({"labelSelector": {"matchLabels": {"alive": "true"}}}, anchors("a", "b")),
        "none": ({"labelSelector": {"matchLabels": {"matches": "nothing"}}, "optional": True}, set()),
        "unset": ({"optional": True}, set()),
    }
    for name, (source, _) in cases.items():
        space.create(reader(name, {"signerName": signer, "path": "bundle.crt", **source}))
    for name, (_, wanted) in cases.items():
        space.wait(lambda name=name: space.get("v1/Pod", name)["status"]["phase"] == "Succeeded")
        assert printed(space, name) == (wanted, "644")


@row(
    PREVENT + "sets optional=false and no trust bundle matches query",
    PREVENT + "sets optional=false and the configured CTB does not exist",
)
def test_a_pod_waits_for_the_bundle_it_needs(space: Space, signer: str):
    unknown = {"signerName": signer, "labelSelector": {"matchLabels": {"alive": "unknown"}}}
    for name, source in (("query", unknown), ("name", {"name": "does-not-exist"})):
        space.create(reader(name, {"path": "bundle.crt", "optional": False, **source}))
    for name in ("query", "name"):
        space.wait(lambda name=name: [each for each in space.events(name) if each["reason"] == "FailedMount"])
        found = space.get("v1/Pod", name)
        assert (found["status"]["phase"], condition(found, "Ready")) == ("Pending", "False")
        [told] = [each for each in found["status"]["conditions"] if each["type"] == "Ready"]
        assert (told["reason"], told["message"]) == ("ContainersNotReady", "containers with unready status: [c0]")
    bundle(space, "d", certificate("d"), signer, alive="unknown")
    space.wait(lambda: space.get("v1/Pod", "query")["status"]["phase"] == "Succeeded", seconds=150)


@row("should be able to specify multiple CTB volumes")
def test_several_volumes_of_bundles(space: Space, signer: str):
    dead = {"signerName": signer, "labelSelector": {"matchLabels": {"alive": "false"}}, "path": "bundle.crt"}
    space.finish(reader("several", {"name": f"test.test.{space.name}", "path": "anchors.pem"}, dead))
    assert printed(space, "several", "c0") == (anchors("nobody"), "644")
    assert printed(space, "several", "c1") == (anchors("c"), "644")


@row("should be able to mount a big number (>100) of CTBs")
def test_many_bundles(space: Space):
    number, signer = 150, f"test.test/hundreds-{space.name}"
    names = [bundle(space, str(each), certificate(f"root{each}"), signer) for each in range(number)]
    sources = [
        {"clusterTrustBundle": {"name": name, "path": f"anchors-{each}.pem"}} for each, name in enumerate(names)
    ]
    show = list(shell("cat /ctb/anchors-77.pem; stat -L -c %a /ctb/anchors-77.pem"))
    one = pod("one", *show)
    one["spec"]["volumes"] = [{"name": "v", "projected": {"sources": sources}}]
    one["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/ctb"}]
    space.finish(one)
    assert printed(space, "one", "main") == (anchors("root77"), "644")
    apart = pod("apart", *shell("cat /ctb-77/anchors-77.pem; stat -L -c %a /ctb-77/anchors-77.pem"))
    apart["spec"]["volumes"] = [
        {"name": f"v{each}", "projected": {"sources": [source]}} for each, source in enumerate(sources)
    ]
    apart["spec"]["containers"][0]["volumeMounts"] = [
        {"name": f"v{each}", "mountPath": f"/ctb-{each}"} for each in range(number)
    ]
    space.finish(apart)
    assert printed(space, "apart", "main") == (anchors("root77"), "644")
    space.finish(reader("joined", {"signerName": signer, "labelSelector": {}, "path": "anchors.pem"}))
    assert printed(space, "joined") == (anchors(*(f"root{each}" for each in range(number))), "644")
    space.http.delete(space.path(KIND, labelSelector=f"of={space.name}")).ok()
