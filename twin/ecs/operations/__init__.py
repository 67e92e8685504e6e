"""ECS's API operations, by what they act on."""
