"""PodSecurity: a namespace's labels say which Pod Security Standard its pods meet (levels, checks, admission)."""
