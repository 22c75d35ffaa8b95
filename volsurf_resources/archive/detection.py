"""Which mapping reads an archive: the one told, the folder's own, or the shipped ones that fit.

Belongs here: that choice. Not here: what a mapping says.
"""

from pathlib import Path

from volsurf_resources.archive.holdings import claim_files
from volsurf_resources.archive.loading import (
    MAPPING_FILE,
    load_mapping,
    merged_mapping,
    shipped_mappings,
)
from volsurf_resources.archive.mapping import Mapping
from volsurf_resources.archive.reader import data_files, header_of, parts_of
from volsurf_resources.source import Unreadable

_SHOWN = 3  # damaged files in one message


def mapping_for(folder: Path, told: str | Path | None) -> Mapping:
    """Return the mapping of a folder; `Unreadable` if none is told and none fits."""
    if told is not None:
        inside = folder / told
        return load_mapping(inside if inside.is_file() else told)
    if (own := folder / MAPPING_FILE).is_file():
        return load_mapping(own)
    if not data_files(folder):
        raise Unreadable(f"the archive folder {folder} has no .csv, .txt, .zip or .parquet file")
    fitting = [name for name in shipped_mappings() if _fits(folder, load_mapping(name))]
    if not fitting:
        damage = "".join(f"{fault}; " for fault in _faults(folder)[:_SHOWN])
        raise Unreadable(
            f"{damage}no shipped mapping {shipped_mappings()} fits the files in {folder}: name "
            f"one, or describe the files in {folder / MAPPING_FILE} (see docs/archive.md)"
        )
    included = {parent for name in fitting for parent in load_mapping(name).extends}
    return merged_mapping([name for name in fitting if name not in included])


def _faults(folder: Path) -> list[str]:
    """What is wrong with files whatever their columns mean: cut, empty, a web page."""
    faults = []
    for path in data_files(folder):
        try:
            for part in parts_of(path):
                header_of(part, ",")
        except Unreadable as error:
            faults.append(str(error))
    return faults


def _fits(folder: Path, mapping: Mapping) -> bool:
    """Whether a file has the columns of a table that is the mapping's own."""
    if not mapping.is_detectable:
        return False
    return any(claim.table_name in mapping.own for claim in claim_files(folder, mapping).found)
