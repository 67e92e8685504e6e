"""ECS's native deployments: service revisions, blue/green, linear and canary releases, hooks, alarms and rollback."""
