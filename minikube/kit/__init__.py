"""Parts that know nothing of Kubernetes: queue, backoff, clock, tasks, files and sockets of the process."""
