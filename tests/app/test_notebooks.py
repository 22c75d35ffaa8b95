"""The notebooks run from top to bottom on the demo's data, and show what they promise."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PICTURES = {
    "01_data_exploration": 4,
    "02_surface_fitting": 4,
    "03_vrp_analysis": 2,
    "04_model_comparison": 4,
}


def test_every_notebook_is_run_below():
    assert [path.stem for path in NOTEBOOKS] == sorted(PICTURES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_carries_no_output_and_explains_each_picture(path):
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    before = dict(zip([cell.id for cell in cells[1:]], cells[:-1], strict=True))
    assert all(before[cell.id].cell_type == "markdown" for cell in code)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, filled_home, monkeypatch):
    monkeypatch.setenv("VOLSURF_HOME", str(filled_home))
    # Streamlit, where a test has loaded it, forbids windows in all processes to come.
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == PICTURES[path.stem]
    assert not [output for output in outputs if output.get("name") == "stderr"], outputs
