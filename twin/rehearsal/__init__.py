"""Rehearsals: a world in YAML, what happens in it, and what the laws measured."""
