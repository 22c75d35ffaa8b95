"""Lets `python -m volsurf_app` be `volsurf`."""

from volsurf_app.cli import main

main()
