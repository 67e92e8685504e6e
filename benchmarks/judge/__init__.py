"""How often the judge of a release is wrong, next to the rules that others publish, on the same seeded streams."""
