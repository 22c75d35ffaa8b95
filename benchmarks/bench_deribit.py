"""A recorded chain of Deribit to frames: `python benchmarks/bench_deribit.py FILE`.

FILE is a snapshot of either format that `volsurf_resources.deribit.snapshot` reads. The bare
parsing of its JSON stands beside as the floor.
"""

import json
import sys
import tempfile
from pathlib import Path

from side_by_side import machine, report

from volsurf_resources.deribit import Snapshot
from volsurf_resources.deribit.findings import findings
from volsurf_resources.deribit.translation import chain


def main() -> None:
    """Time the steps from a file to a frame."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    file = Path(sys.argv[1])
    snapshot = Snapshot.load(file)
    rows = chain(snapshot).height
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "kept.json.gz"
        snapshot.save(kept)
        report(
            f"{file.name}: {rows} options",
            {
                "json.loads alone": (lambda: json.loads(file.read_bytes()), 1, ""),
                "file to snapshot": (lambda: Snapshot.load(file), 1, ""),
                "own file, gzip, to snapshot": (lambda: Snapshot.load(kept), 1, ""),
                "snapshot to chain": (lambda: chain(snapshot), 1, f"{rows} rows"),
                "file to chain": (lambda: chain(Snapshot.load(file)), 1, f"{rows} rows"),
                "what is odd": (lambda: findings(snapshot), 1, ""),
            },
            unit="ms",
        )


if __name__ == "__main__":
    main()
