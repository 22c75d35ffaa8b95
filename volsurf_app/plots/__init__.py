"""Frames drawn as Plotly figures, one module per topic; the pages show them.

Belongs here: what a picture looks like. Not here: questions to the lake, or widgets.
"""
