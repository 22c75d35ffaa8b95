"""What Streamlit executes for every look at a page; all else is imported once."""

from volsurf_app.pages.application import draw

draw()
