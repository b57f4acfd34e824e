"""Container runtimes. No process forked by us goes on calling gRPC, so gRPC need not prepare for forks."""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
