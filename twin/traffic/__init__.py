"""Requests through load balancers, by the minute, and the metrics that AWS makes of them."""
