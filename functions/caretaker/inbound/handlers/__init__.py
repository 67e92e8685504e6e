"""Lambda handlers of the inbound functions."""
