"""Reading mappings: by name or path, laid over the ones that they extend.

Belongs here: TOML files to a checked `Mapping`. Not here: choosing one for a folder.
"""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from volsurf_resources.archive.mapping import KINDS, Mapping
from volsurf_resources.source import Unreadable

MAPPING_FILE = "volsurf.toml"
_SHIPPED = Path(__file__).parent / "mappings"


def shipped_mappings() -> list[str]:
    """Names of the mappings that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.toml"))


def load_mapping(name: str | Path) -> Mapping:
    """Return a mapping by the name of a shipped one or the path of a TOML file.

    Raises `Unreadable` with the file, the place and the rule that was broken.
    """
    path = _path_of(name)
    return _validated(_merged(path), path.name)


def merged_mapping(names: Sequence[str]) -> Mapping:
    """Return one mapping with the tables of several shipped ones, named after all of them."""
    merged: dict[str, Any] = {}
    for name in names:
        merged = _laid_over(merged, _merged(_path_of(name)))
    return _validated({**merged, "name": "+".join(names)}, "+".join(names))


def _validated(raw: dict[str, Any], file: str) -> Mapping:
    try:
        return Mapping.model_validate(raw)
    except ValidationError as error:
        told = [
            f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}"
            for fault in error.errors()[:3]
        ]
        raise Unreadable(f"mapping {file}: {'; '.join(told)}") from None


def _path_of(name: str | Path) -> Path:
    path = _SHIPPED / f"{name}.toml"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise Unreadable(
            f"there is no mapping {str(name)!r}: give a TOML file or one of {shipped_mappings()}"
        )
    return path


def _merged(path: Path) -> dict[str, Any]:
    """A TOML file laid over the mappings that it extends."""
    try:
        own = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"mapping {path.name} is no TOML: {error}") from None
    told = own.get("extends", [])
    parents = [told] if isinstance(told, str) else told
    merged: dict[str, Any] = {}
    for parent in parents:
        merged = _laid_over(merged, _merged(_path_of(parent)))
    said = {
        "name": path.stem,
        "about": "",
        "is_detectable": True,
        **own,
        "extends": parents,
        "own": [f"{kind}.{name}" for kind in KINDS for name in own.get(kind, {})],
    }
    return _laid_over(merged, said)


def _laid_over(below: dict[str, Any], above: dict[str, Any], depth: int = 3) -> dict[str, Any]:
    """Merge kinds, tables and their sections; a cell replaces a cell, `false` takes it away."""
    both = dict(below)
    for key, value in above.items():
        if value is False and depth == 0:
            both.pop(key, None)
        elif depth and isinstance(value, dict) and isinstance(both.get(key), dict):
            both[key] = _laid_over(both[key], value, depth - 1)
        else:
            both[key] = value
    return both
