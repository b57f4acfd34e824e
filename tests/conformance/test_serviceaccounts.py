"""auth: service accounts and what pods are given of them, and who may do what."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.api.raw import STRATEGIC
from tests.conformance.rows import row
from tests.conformance.space import Obj, Space, agnhost, pod, shell

pytestmark = pytest.mark.conformance

KIND = "v1/ServiceAccount"
HOME = "/var/run/secrets/kubernetes.io/serviceaccount"
ROOT = "kube-root-ca.crt"


def account(name: str, **fields: object) -> Obj:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}, **fields}


@row("ServiceAccounts should mount an API token into pods")
def test_a_pod_finds_its_token_the_ca_and_its_namespace(space: Space):
    space.create(account("mount-test"))
    space.run(pod("reader", serviceAccountName="mount-test"))
    token, ca, namespace = (
        space.exec("reader", "cat", f"{HOME}/{name}") for name in ("token", "ca.crt", "namespace")
    )
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = space.create(review)["status"]
    assert status["authenticated"]
    assert "error" not in status
    user = status["user"]
    assert user["username"] == f"system:serviceaccount:{space.name}:mount-test"
    assert user["groups"] == [
        "system:serviceaccounts",
        f"system:serviceaccounts:{space.name}",
        "system:authenticated",
    ]
    assert user["extra"]["authentication.kubernetes.io/pod-name"] == ["reader"]
    assert ca == space.get("v1/ConfigMap", ROOT)["data"]["ca.crt"]
    assert namespace == space.name


@row("ServiceAccounts should allow opting out of API token automount")
def test_the_pod_says_before_its_account_whether_the_token_is_mounted(space: Space):
    accounts = {"mount": True, "nomount": False, "neither": None}
    for name, says in accounts.items():
        space.create(account(name, **({} if says is None else {"automountServiceAccountToken": says})))
    for name, says in accounts.items():
        for own in (None, True, False):
            made = pod(f"{name}-{own}".lower(), serviceAccountName=name)
            if own is not None:
                made["spec"]["automountServiceAccountToken"] = own
            found = space.create(made)["spec"]["containers"][0].get("volumeMounts", ())
            wanted = own if own is not None else says is not False
            assert (HOME in {mount["mountPath"] for mount in found}) is wanted


@row("ServiceAccounts should mount projected service account token")
def test_a_projected_token_is_for_its_audience(space: Space):
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": 7200, "audience": "vault"}}
    made = pod(
        "test-pod",
        *shell("cat /test-volume/token"),
        volumes=[{"name": "v", "projected": {"sources": [source]}}],
    )
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/test-volume"}]
    claims = payload(space.output(made))
    assert claims["aud"] == ["vault"]
    assert claims["kubernetes.io"]["pod"]["name"] == "test-pod"
    assert claims["exp"] - claims["iat"] == 7200


def payload(token: str) -> Obj:
    found: Obj = json.loads(decoded(token.split(".")[1]))
    return found


def halves(signature: str) -> tuple[bytes, bytes]:
    raw = decoded(signature)
    return raw[:32], raw[32:]


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@row("ServiceAccounts ServiceAccountIssuerDiscovery should support OIDC discovery of service account issuer")
def test_a_pod_can_verify_its_token_by_what_its_issuer_publishes(space: Space):
    script = f"""
import base64, json, ssl, urllib.request
token = open("/var/run/secrets/tokens/t").read()
here = ssl.create_default_context(cafile="{HOME}/ca.crt")
def get(url):
    request = urllib.request.Request(url, headers={{"Authorization": "Bearer " + open("{HOME}/token").read()}})
    with urllib.request.urlopen(request, context=here) as answer:
        return json.load(answer)
part = token.split(".")[1]
issuer = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["iss"]
document = get(issuer + "/.well-known/openid-configuration")
print(json.dumps([token, issuer, document, get(document["jwks_uri"])]))
"""
    source = {"serviceAccountToken": {"path": "t", "audience": "oidc-discovery-test"}}
    made = agnhost(
        "oidc-discovery-validator",
        restartPolicy="Never",
        volumes=[{"name": "t", "projected": {"sources": [source]}}],
    )
    container = made["spec"]["containers"][0]
    container["command"] = ["python3", "-c", script]
    container["volumeMounts"] = [{"name": "t", "mountPath": "/var/run/secrets/tokens"}]
    token, issuer, document, keys = json.loads(space.output(made))
    assert document["issuer"] == issuer == "https://kubernetes.default.svc.cluster.local"
    assert document["response_types_supported"] == ["id_token"]
    assert document["subject_types_supported"] == ["public"]
    head, body, signature = token.split(".")
    header = json.loads(decoded(head))
    assert header["alg"] in document["id_token_signing_alg_values_supported"]
    assert header["alg"] in ("RS256", "ES256")  # those that the suite's client takes
    [key] = [one for one in keys["keys"] if one["kid"] == header["kid"]]
    assert (key["use"], key["kty"], key["crv"]) == ("sig", "EC", "P-256")
    x, y, r, t = (
        int.from_bytes(part, "big") for part in (decoded(key["x"]), decoded(key["y"]), *halves(signature))
    )
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(encode_dss_signature(r, t), f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    assert payload(token)["aud"] == ["oidc-discovery-test"]


@row("ServiceAccounts should run through the lifecycle of a ServiceAccount")
def test_its_life_as_a_watch_sees_it(space: Space):
    selector = f"test-serviceaccount-static={space.name}"
    since = space.version(KIND)
    made = account("testserviceaccount")
    made["metadata"]["labels"] = {"test-serviceaccount-static": space.name}
    space.create(made)
    space.until(KIND, lambda one: True, since=since, type="ADDED", labelSelector=selector)
    space.patch(KIND, "testserviceaccount", {"automountServiceAccountToken": False}, type=STRATEGIC)
    space.until(
        KIND,
        lambda one: one.get("automountServiceAccountToken") is False,
        since=since,
        type="MODIFIED",
        labelSelector=selector,
    )
    listed = space.http.get(f"/api/v1/serviceaccounts?labelSelector={selector}").ok()["items"]
    assert [one["metadata"]["name"] for one in listed] == ["testserviceaccount"]
    space.ask("DELETE", KIND, body={}, query={"labelSelector": selector}).ok()
    space.until(KIND, lambda one: True, since=since, type="DELETED", labelSelector=selector)


@row("ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace")
def test_every_namespace_has_the_ca_and_gets_it_again(space: Space):
    kind = "v1/ConfigMap"
    wanted = space.wait(lambda: space.get(kind, ROOT))["data"]
    assert "BEGIN CERTIFICATE" in wanted["ca.crt"]
    space.delete(kind, ROOT, {"gracePeriodSeconds": 0})
    space.wait(lambda: space.get(kind, ROOT)["data"] == wanted)
    space.update({**space.get(kind, ROOT), "data": {"ca.crt": ""}})
    space.wait(lambda: space.get(kind, ROOT)["data"] == wanted)


@row("ServiceAccounts should update a ServiceAccount")
def test_an_account_is_put(space: Space):
    space.create(account("e2e-sa", automountServiceAccountToken=False))

    def put() -> Obj:
        return space.update({**space.get(KIND, "e2e-sa"), "automountServiceAccountToken": True})

    assert space.wait(put)["automountServiceAccountToken"] is True


@row("SubjectReview should support SubjectReview API operations")
def test_reviews_agree_with_what_is_allowed(space: Space):
    space.create(account("e2e"))
    user = f"system:serviceaccount:{space.name}:e2e"

    def agree(verb: str, allowed: bool) -> None:
        attributes = {"namespace": space.name, "verb": verb, "resource": "configmaps", "version": "v1"}
        for kind in ("SubjectAccessReview", "LocalSubjectAccessReview"):
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": kind,
                "metadata": {"namespace": space.name} if kind.startswith("Local") else {},
                "spec": {"resourceAttributes": attributes, "user": user},
            }
            assert space.create(review)["status"]["allowed"] is allowed
        answer = space.ask("GET", "v1/ConfigMap", headers={"Impersonate-User": user})
        assert (answer.code == 200) is allowed

    agree("list", False)
    rbac = "rbac.authorization.k8s.io/v1"
    subject = {"kind": "ServiceAccount", "name": "e2e", "namespace": space.name}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    space.create(
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": {"name": "e2e"},
            "subjects": [subject],
            "roleRef": reference,
        }
    )
    agree("list", True)
