"""apps/job: what counts as the success and as the failure of an indexed Job."""

from __future__ import annotations

import pytest

from tests.conformance.rows import row
from tests.conformance.space import Space
from tests.conformance.test_job import KIND, ends, job
from tests.conformance.workloads import condition_of, pods_of

pytestmark = pytest.mark.conformance
ODD_FAIL = "exit $((JOB_COMPLETION_INDEX % 2))"
FIRST_ONLY = '[ "$JOB_COMPLETION_INDEX" = 0 ] || exec sleep 3600'
INDEXED = {"completionMode": "Indexed"}
INDEX = "batch.kubernetes.io/job-completion-index"


@row("Job should execute all indexes despite some failing when using backoffLimitPerIndex")
def test_every_index_is_tried(space: Space):
    space.create(job(ODD_FAIL, parallelism=2, completions=4, backoffLimitPerIndex=1, **INDEXED))
    status = ends(space, "Failed", seconds=120)["status"]
    assert (status["failedIndexes"], status["completedIndexes"]) == ("1,3", "0,2")
    assert (status["failed"], status["succeeded"]) == (4, 2)
    assert condition_of({"status": status}, "Failed")["reason"] == "FailedIndexes"


@row("Job should mark indexes as failed when the FailIndex action is matched in podFailurePolicy")
def test_an_exit_code_fails_its_index(space: Space):
    rule = {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [1]}}
    policy = {"rules": [rule]}
    space.create(
        job(ODD_FAIL, parallelism=2, completions=2, backoffLimitPerIndex=1, podFailurePolicy=policy, **INDEXED)
    )
    status = ends(space, "Failed")["status"]
    assert (status["failedIndexes"], status["completedIndexes"]) == ("1", "0")
    assert (status["failed"], status["succeeded"]) == (1, 1)


@row("Job should terminate job execution when the number of failed indexes exceeds maxFailedIndexes")
def test_too_many_failed_indexes_end_the_job(space: Space):
    """One at a time, so that none fails beyond the limit."""
    space.create(
        job("exit 1", parallelism=1, completions=10, backoffLimitPerIndex=0, maxFailedIndexes=4, **INDEXED),
    )
    found = ends(space, "Failed", seconds=120)
    assert condition_of(found, "Failed")["reason"] == "MaxFailedIndexesExceeded"
    status = found["status"]
    assert (status["failed"], status["failedIndexes"]) == (5, "0-4")
    assert (status.get("succeeded", 0), status.get("completedIndexes", "")) == (0, "")


@row("Job with successPolicy should succeeded when all indexes succeeded")
def test_a_success_policy_that_all_indexes_fulfil(space: Space):
    policy = {"rules": [{"succeededCount": 2}]}
    space.create(job("exit 0", parallelism=2, completions=2, successPolicy=policy, **INDEXED))
    found = ends(space, "Complete")
    assert condition_of(found, "SuccessCriteriaMet")["reason"] == "SuccessPolicy"
    assert condition_of(found, "Complete")["reason"] == "SuccessPolicy"
    assert found["status"]["completedIndexes"] == "0,1"


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(
            {"succeededIndexes": "0"},
            marks=row(
                "Job with successPolicy succeededIndexes rule should succeeded even when some indexes remain pending"
            ),
        ),
        pytest.param(
            {"succeededCount": 1},
            marks=row(
                "Job with successPolicy succeededCount rule should succeeded even when some indexes remain pending"
            ),
        ),
    ],
)
def test_a_success_policy_that_some_indexes_fulfil(space: Space, rule: dict[str, object]):
    policy = {"rules": [rule]}
    space.create(job(FIRST_ONLY, parallelism=2, completions=5, successPolicy=policy, **INDEXED))
    found = ends(space, "SuccessCriteriaMet")
    assert condition_of(found, "SuccessCriteriaMet")["reason"] == "SuccessPolicy"
    found = ends(space, "Complete")
    assert condition_of(found, "Complete")["reason"] == "SuccessPolicy"
    assert found["status"]["completedIndexes"] == "0"
    left = {each["metadata"]["annotations"][INDEX] for each in pods_of(space, {"job-name": "foo"})}
    assert left <= {"0", "1"}
    assert space.get(KIND, "foo")["status"].get("terminating", 0) == 0
