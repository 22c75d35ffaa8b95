"""The outside world: store, sources, calendar, settings."""
