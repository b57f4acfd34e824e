"""What the upstream conformance suite of 1.37 checks, row by row (rows.tsv), on a real cluster of two nodes.

Run it with `pytest -n 4 -m conformance tests/conformance`. All tests share the cluster, each in namespaces of its
own; a test that disturbs others (taints, preemption, webhooks for everything) is marked `serial` and runs alone.
The tests run in the network namespace of the cluster's switch: an outside machine that reaches nodes, not pods.
Requests go as the suite's Go clients send them, built-in kinds in protobuf (wire.py).
"""
