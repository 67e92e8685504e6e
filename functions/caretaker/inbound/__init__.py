"""Events from outside, one module per kind, turned into requests by a registry on (source, detail-type)."""
