"""Answers kept on disk, so that the same request is not sent twice.

Belongs here: files named by the hash of a request. Not here: whether an answer may be kept, which
`requests` decides: only whole bodies of sessions whose report is final.
"""

import gzip
import hashlib
import os
import uuid
import zlib
from pathlib import Path


class ResponseCache:
    """Bodies of complete answers, one gzip file per request."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, request: str) -> bytes | None:
        """Return the body kept for a request; None if there is none, or none that can be read."""
        try:
            return gzip.decompress(self._file(request).read_bytes())
        except (FileNotFoundError, gzip.BadGzipFile, zlib.error, EOFError):
            return None

    def write(self, request: str, body: bytes) -> None:
        """Keep a body; readers see all of it or nothing."""
        file = self._file(request)
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            draft.write_bytes(gzip.compress(body, compresslevel=1, mtime=0))
            os.replace(draft, file)
        finally:
            draft.unlink(missing_ok=True)

    def _file(self, request: str) -> Path:
        digest = hashlib.sha256(request.encode()).hexdigest()
        return self._folder / digest[:2] / f"{digest}.csv.gz"
