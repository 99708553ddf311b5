"""Progress of a run: metrics.csv and curves.png, written anew at every validation."""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from matplotlib.figure import Figure

from simpleocr.modelfile import write_atomically
from training.checkpoint import CheckpointError

COLUMNS = ("step", "epoch", "samples", "seconds", "lr", "loss", "cer", "accuracy")
TITLES = {"cer": "CER", "accuracy": "exact match", "held_out": "loss, held out"}
"""Of curves that are not called as their column is."""


def plot(rows: Sequence[Mapping[str, str]], columns: Sequence[str], path: Path) -> None:
    """Three columns over samples seen."""
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    for axes, column in zip(figure.subplots(1, 3), columns, strict=True):
        axes.plot([int(row["samples"]) for row in rows], [float(row[column]) for row in rows], marker=".")
        axes.set(title=TITLES.get(column, column), xlabel="samples seen")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


class MetricsLog:
    """metrics.csv and curves.png of a run.

    Args:
        path: of the CSV; rows after `step` are cut, for a resumed run writes them again.
        step: where the run stands.
        columns: of the CSV; the last three are drawn.

    Raises:
        CheckpointError: the CSV has other columns, and the run cannot go on with it.
    """

    def __init__(self, path: Path, step: int, columns: Sequence[str] = COLUMNS) -> None:
        self.path, self.columns = path, columns
        self.rows: list[dict[str, str]] = []
        if step and path.exists():
            with path.open(newline="") as file:
                table = csv.DictReader(file)
                if set(table.fieldnames or ()) != set(columns):
                    raise CheckpointError(
                        f"{path} has the columns {','.join(table.fieldnames or ()) or '(none)'} instead of"
                        f" {','.join(columns)}, as an older version or a kill left it: move it away, and the run goes on"
                    )
                # a row that a kill cut short has no value in its last column
                self.rows = [row for row in table if row[self.columns[-1]] and int(row["step"]) <= step]

    def add(self, state: Mapping[str, float], loss: float, rate: float, figures: Mapping[str, float]) -> None:
        """Append one validation and draw the curves anew.

        Args:
            state: where the run stands, with its seconds.
            loss: the mean since the last validation.
            rate: of learning.
            figures: of the validation.
        """
        values: dict[str, object] = {
            **state,
            "seconds": round(state["seconds"], 1),
            "lr": f"{rate:.3g}",
            "loss": f"{loss:.5f}",
        }
        values |= {name: f"{value:.5f}" for name, value in figures.items()}
        self.rows.append({name: str(values[name]) for name in self.columns})
        file = StringIO()
        writer = csv.DictWriter(file, self.columns)
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self.path, file.getvalue().encode())
        plot(self.rows, self.columns[-3:], self.path.with_name("curves.png"))
