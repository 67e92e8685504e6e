"""ECS Express Mode: services of which ECS makes, shares and keeps the load balancer, rules, alarms and scaling."""
