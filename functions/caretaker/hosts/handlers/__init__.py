"""The functions of replace_host: one verb each. Gather, decide (plain functions), apply."""
