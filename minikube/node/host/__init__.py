"""The machine below the node: control groups, mounts, processes, facts; and taking all of ours off it again."""
