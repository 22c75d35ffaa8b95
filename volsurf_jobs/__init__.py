"""When things run, and with which concrete resources."""
