"""What each table of the lake is."""
