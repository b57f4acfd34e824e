"""ResourceQuota: what objects use (evaluators), what quotas say of it (check), and the plugin (admission)."""
