"""The surface server: stored surfaces over HTTP, read-only.

Belongs here: questions as they come over the wire, answers as JSON, what a stranger may do. Not
here: how anything is answered (`volsurf_app.surface`, `volsurf_app.queries`).
"""
