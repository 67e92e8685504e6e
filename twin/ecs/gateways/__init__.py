"""ECS Gateways: load balancers that ECS keeps for ordinary services, beside those of Express Mode."""
