import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from volsurf_resources.archive import Archive

MakeArchive = Callable[..., Archive]


@pytest.fixture
def archive(tmp_path: Path) -> MakeArchive:
    """Write files (a dict of texts is a zip) into a folder and open it as an archive."""

    def make(files: dict[str, str | bytes | dict[str, str]], mapping: str | None = None) -> Archive:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, dict):
                with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
                    for member, text in content.items():
                        zipped.writestr(member, text)
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Archive(tmp_path, mapping)

    return make
