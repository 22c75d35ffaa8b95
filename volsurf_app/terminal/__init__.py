"""The surface in a terminal: what each section shows, and the app around them."""
