"""How people look and ask."""
