"""Huge pages by their many names."""

from __future__ import annotations

from typing import Any

import pytest

from minikube.api.core_v1 import Pod
from minikube.api.meta import from_dict
from minikube.node.host.cgroups import pod_group, v1_files, v2_files
from minikube.node.host.huge_pages import container_limits, kernel_name, page_size

SIZES = ("hugepages-1Gi", "hugepages-2Mi")


def pod(*containers: dict[str, str], whole: dict[str, str] | None = None) -> Pod:
    spec: dict[str, Any] = {
        "containers": [
            {"name": f"c{index}", "resources": {"limits": each, "requests": each}}
            for index, each in enumerate(containers)
        ]
    }
    if whole is not None:
        spec["resources"] = {"limits": whole, "requests": whole}
    return from_dict(Pod, {"metadata": {"name": "p"}, "spec": spec})


@pytest.mark.parametrize(
    ("resource", "name"), [("hugepages-2Mi", "2MB"), ("hugepages-1Gi", "1GB"), ("hugepages-64Ki", "64KB")]
)
def test_the_kernel_has_its_own_names(resource: str, name: str) -> None:
    assert kernel_name(resource) == name


def test_a_container_gets_no_pages_that_it_does_not_ask_for() -> None:
    asked = {"hugepages-2Mi": "4Mi", "memory": "1Gi"}
    assert container_limits(pod(asked), asked, SIZES) == {"1GB": 0, "2MB": 4 << 20}
    assert container_limits(pod({}), {}, SIZES) == {"1GB": 0, "2MB": 0}
    assert container_limits(pod({}, whole={"hugepages-2Mi": "6Mi"}), {}, SIZES) == {"1GB": 0, "2MB": 6 << 20}


def test_the_group_of_a_pod_bounds_its_containers_together() -> None:
    group = pod_group(pod({"hugepages-2Mi": "4Mi"}, {"hugepages-2Mi": "2Mi"}), page_sizes=SIZES)
    assert v1_files(group)["hugetlb"] == {
        "hugetlb.1GB.limit_in_bytes": "0",
        "hugetlb.2MB.limit_in_bytes": str(6 << 20),
    }
    files = v2_files(group)
    assert (files["hugetlb.1GB.max"], files["hugetlb.2MB.max"]) == ("0", str(6 << 20))


def test_the_groups_of_many_pods_are_not_bound() -> None:
    assert "hugetlb" not in v1_files(pod_group(pod({"hugepages-2Mi": "4Mi"})))


def test_a_volume_has_pages_of_the_size_that_the_pod_asks_for() -> None:
    both = pod({"hugepages-2Mi": "4Mi"}, {"hugepages-1Gi": "1Gi"})
    assert page_size(pod({"hugepages-2Mi": "4Mi"}), "HugePages") == "2M"
    assert page_size(both, "HugePages-1Gi") == "1G"
    assert page_size(pod({}, whole={"hugepages-2Mi": "2Mi"}), "HugePages-2Mi") == "2M"
    with pytest.raises(ValueError) as told:
        page_size(both, "HugePages")
    assert str(told.value) == "medium: HugePages can't be used if container requests multiple huge page sizes"
    with pytest.raises(ValueError) as told:
        page_size(pod({"memory": "1Gi"}), "HugePages-2Mi")
    assert str(told.value) == (
        "medium HugePages-2Mi: hugePages storage requested, but there is no resource request for huge pages"
    )
