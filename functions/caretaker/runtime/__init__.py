"""What every capability stands on: settings, policy, clock, the table and what is kept in it, logging."""
