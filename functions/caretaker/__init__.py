"""Caretaker for Amazon ECS: replaces hosts, bakes releases and sweeps garbage of an account's ECS fleet."""
