"""The web pages, one module per page, and what they share.

Belongs here: widgets and words around pictures. Not here: questions to the lake (`queries`), or
what a picture looks like (`plots`).
"""
