"""Images from a registry that asks for a password, and from archives that appear."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.images import busybox_archive
from tests.machines import Machine, Network

pytestmark = pytest.mark.node

PORT = 5000
USER, PASSWORD = "me", "secret"
BCRYPTED = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"
CONFIG = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {root}/registry}}}}
http: {{addr: "{address}:{port}"}}
auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}
"""
MIRRORS = """
mirrors:
  "{host}": {{endpoint: ["http://{host}"]}}
  "docker.io": {{endpoint: ["http://{host}"]}}
"""
CREDENTIALS = """
configs:
  "{host}": {{auth: {{username: me, password: secret}}}}
"""
REWRITES = """
mirrors:
  "docker.io":
    endpoint: ["http://{host}"]
    rewrite: {{"^rancher/(.*)": "team/$1"}}
"""
PUSH = """
import base64, hashlib, json, sys, tarfile, urllib.request
url, archive, repository, user = sys.argv[1:]
auth = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
def call(method, path, body=None, **headers):
    where = path if path.startswith("http") else url + path
    return urllib.request.urlopen(urllib.request.Request(where, body, {**auth, **headers}, method=method))
def blob(body):
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    where = call("POST", f"/v2/{repository}/blobs/uploads/", b"").headers["Location"]
    call("PUT", where + "&digest=" + digest, body, **{"Content-Type": "application/octet-stream"})
    return {"digest": digest, "size": len(body)}
tar = tarfile.open(archive)
[item] = json.load(tar.extractfile("manifest.json"))
kind = "application/vnd.docker."
layer = kind + "image.rootfs.diff.tar"
manifest = {
    "schemaVersion": 2, "mediaType": kind + "distribution.manifest.v2+json",
    "config": {"mediaType": kind + "container.image.v1+json", **blob(tar.extractfile(item["Config"]).read())},
    "layers": [{"mediaType": layer, **blob(tar.extractfile(each).read())} for each in item["Layers"]],
}
kind = {"Content-Type": manifest["mediaType"]}
call("PUT", f"/v2/{repository}/manifests/1", json.dumps(manifest).encode(), **kind)
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  imagePullSecrets: [{{name: {secret}}}]
  containers: [{{name: c, image: "{image}", command: [sleep, "600"]}}]
"""


@pytest.fixture
def machine(network: Network) -> Iterator[Machine]:
    if shutil.which("docker-registry") is None:
        pytest.skip("docker-registry is not installed")
    machine = network.machine()
    root, host = machine.root, f"{machine.address}:{PORT}"
    (root / "htpasswd").write_text(f"{USER}:{BCRYPTED}\n")
    (root / "registry.yml").write_text(CONFIG.format(root=root, address=machine.address, port=PORT))
    with (root / "registry.log").open("wb") as log:
        command = [*machine.enter, "docker-registry", "serve", str(root / "registry.yml")]
        registry = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        archive = busybox_archive(root / "app.tar", "app:1")
        push = [sys.executable, "-c", PUSH, f"http://{host}", str(archive), "team/app", f"{USER}:{PASSWORD}"]
        machine.wait(lambda: machine.run(*push, check=False).returncode == 0, 10)
        yield machine
    finally:
        registry.kill()
        registry.wait()


def configure(machine: Machine, text: str) -> None:
    path = machine.root / "registries.yaml"
    path.write_text(text.format(host=f"{machine.address}:{PORT}"))
    machine.variables["MINIKUBE_PRIVATE_REGISTRY"] = str(path)


def waiting(machine: Machine, pod: str) -> str:
    return machine.kubectl("get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].state.waiting}")


def test_a_private_image_needs_the_pods_pull_secret(machine: Machine) -> None:
    configure(machine, MIRRORS)
    machine.serve()
    host = f"{machine.address}:{PORT}"
    image = f"{host}/team/app:1"
    machine.kubectl("apply", "-f", "-", stdin=POD.format(name="bare", secret="none", image=image))
    machine.wait(
        lambda: "ImagePullBackOff" in waiting(machine, "bare") or "ErrImagePull" in waiting(machine, "bare")
    )
    assert "no basic auth credentials" in machine.kubectl("get", "events") or "401" in machine.kubectl(
        "get", "events"
    )
    machine.kubectl(
        "create", "secret", "docker-registry", "good",
        f"--docker-server={host}", f"--docker-username={USER}", f"--docker-password={PASSWORD}",
    )  # fmt: skip
    machine.kubectl("apply", "-f", "-", stdin=POD.format(name="keyed", secret="good", image=image))
    machine.kubectl("wait", "--for=condition=Ready", "pod/keyed", "--timeout=30s")
    assert f'Successfully pulled image "{image}"' in machine.kubectl("get", "events")
    assert image in machine.minikube("image", "ls")
    machine.kubectl("apply", "-f", "-", stdin=POD.format(name="thief", secret="none", image=image))
    machine.wait(lambda: "ErrImagePull" in waiting(machine, "thief") or "BackOff" in waiting(machine, "thief"))
    machine.kubectl("apply", "-f", "-", stdin=POD.format(name="again", secret="good", image=image))
    machine.kubectl("wait", "--for=condition=Ready", "pod/again", "--timeout=30s")
    text = f'Container image "{image}" already present on machine and can be accessed by the pod'
    assert text in machine.kubectl("get", "events", "--field-selector", "involvedObject.name=again")


def test_a_mirror_has_images_under_names_of_its_own(machine: Machine) -> None:
    configure(machine, REWRITES + CREDENTIALS)
    machine.serve()
    machine.kubectl("apply", "-f", "-", stdin=POD.format(name="moved", secret="none", image="rancher/app:1"))
    machine.kubectl("wait", "--for=condition=Ready", "pod/moved", "--timeout=30s")
    assert 'Successfully pulled image "rancher/app:1"' in machine.kubectl("get", "events")
    assert "docker.io/rancher/app:1" in machine.minikube("image", "ls")
    assert "team/app" not in machine.minikube("image", "ls")
    status = machine.kubectl("get", "pod", "moved", "-o", "jsonpath={.status.containerStatuses[0].imageID}")
    assert status.startswith("docker.io/rancher/app@sha256:")
    machine.kubectl("delete", "pod", "moved")
    machine.minikube("image", "rm", "rancher/app:1")
    assert "rancher/app" not in machine.minikube("image", "ls")
    assert "docker.io/rancher/app:1" in machine.minikube("image", "pull", "rancher/app:1")


def test_the_node_has_mirrors_and_credentials_of_its_own(machine: Machine) -> None:
    configure(machine, MIRRORS + CREDENTIALS)
    machine.serve()
    machine.kubectl("apply", "-f", "-", stdin=POD.format(name="mirrored", secret="none", image="team/app:1"))
    machine.kubectl("wait", "--for=condition=Ready", "pod/mirrored", "--timeout=30s")
    assert "docker.io/team/app:1" in machine.minikube("image", "ls")
    machine.kubectl("delete", "pod", "mirrored")
    machine.minikube("image", "rm", "team/app:1")
    assert "Pulled docker.io/team/app:1" in machine.minikube("image", "pull", "team/app:1")


def test_an_archive_is_imported_when_it_appears(machine: Machine) -> None:
    machine.serve()
    archive = busybox_archive(machine.root / "late.tar", "late:1")
    subprocess.run(["zstd", "-q", str(archive)], check=True)
    shutil.move(f"{archive}.zst", machine.root / "data/agent/images/late.tar.zst")
    machine.wait(lambda: "docker.io/library/late:1" in machine.minikube("image", "ls"), 10)
    machine.minikube("image", "save", "late:1", "-o", str(machine.root / "saved.tar"))
    machine.minikube("image", "rm", "late:1")
    machine.minikube("image", "load", str(machine.root / "saved.tar"))
    machine.kubectl("run", "late", "--image=late:1", "--image-pull-policy=Never", "--", "sleep", "600")
    machine.kubectl("wait", "--for=condition=Ready", "pod/late", "--timeout=30s")
