"""The server is killed, stopped and started again."""

from tests.api.conftest import Cluster


def test_what_was_acknowledged_is_there_after_kill_9(own: Cluster) -> None:
    own.kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2")
    own.kubectl("rollout", "status", "deployment/web", "--timeout=20s")
    before = own.kubectl("get", "pods", "-o", "name")
    own.kubectl("create", "configmap", "last")
    own.kill()
    own.start()
    own.kubectl("get", "configmap", "last")
    assert own.kubectl("get", "pods", "-o", "name") == before
    own.kubectl("scale", "deployment/web", "--replicas=3")
    own.kubectl("rollout", "status", "deployment/web", "--timeout=20s")


def test_sigterm_stops_it_cleanly_and_revisions_go_on(own: Cluster) -> None:
    own.kubectl("create", "configmap", "a")
    path = "jsonpath={.metadata.resourceVersion}"
    before = int(own.kubectl("get", "configmap", "a", "-o", path))
    assert own.stop() == 0
    own.start()
    own.kubectl("create", "configmap", "b")
    assert int(own.kubectl("get", "configmap", "b", "-o", path)) > before
