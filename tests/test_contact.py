"""contact: every sample in its place, whatever its size; sets side by side."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training import contact


@pytest.mark.parametrize("size", [(1, 1), (4000, 10), (10, 4000), (120, 32)])
def test_a_cell_has_one_size(size: tuple[int, int]) -> None:
    made = contact.cell(Image.new("L", size, 0), "x" * 200)
    assert made.size == (contact.CELL[0], contact.CELL[1] + contact.LABEL)
    assert np.asarray(made.crop((0, 2, 3, 5))).min() == 0 or min(size) < 40


def test_sets_stand_side_by_side(tmp_path: Path) -> None:
    for name, grey in (("dark", 0), ("light", 255)):
        folder = tmp_path / name
        folder.mkdir()
        rows = ["file_name,text"]
        for i in range(5):
            Image.new("L", (60, 30), grey).save(folder / f"{i}.png")
            rows.append(f"{i}.png,word {i}")
        (folder / "metadata.csv").write_text("\n".join(rows))
    out = tmp_path / "new" / "sheet.png"
    sets = [str(tmp_path / "dark"), str(tmp_path / "light")]
    contact.main(["--dataset", *sets, "--columns", "2", "--rows", "3", "--out", str(out)])
    sheet = np.asarray(Image.open(out).convert("L"))
    assert sheet.shape[1] == 4 * contact.CELL[0]
    middle = 4 + contact.LABEL + 20
    assert [int(sheet[middle, x * contact.CELL[0] + 40]) for x in range(4)] == [0, 0, 255, 255]
    with pytest.raises(SystemExit, match="no such"):
        contact.main(["--dataset", str(tmp_path / "none"), "--out", str(out)])
