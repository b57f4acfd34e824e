"""Container runtimes. Nothing of ours forks a process that goes on calling gRPC, so gRPC need not prepare for it."""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
