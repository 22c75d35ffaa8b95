"""How each table is made."""
