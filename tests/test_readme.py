import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_python_of_the_readme_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "simpleocr").symlink_to(ROOT / "simpleocr")  # what it writes, it writes elsewhere
    monkeypatch.chdir(tmp_path)
    exec(compile(ast.parse(block), "README.md", "exec"), {})


def test_the_tree_names_every_module_and_no_other() -> None:
    tree = README[README.index("app.py              ") : README.index("A backbone, decoder")]
    package, training = tree[tree.index("simpleocr/") :].split("training/  ")
    named = re.findall(r"^  ([a-z_]+) ", package, flags=re.MULTILINE)
    assert sorted(named) == sorted(p.stem for p in (ROOT / "simpleocr").glob("*.py") if not p.stem.startswith("_"))
    rows = re.findall(r"^  ([a-z_ ]+?)  ", training, flags=re.MULTILINE)
    scripts = {name for row in rows for name in row.split()} - {"runs"}
    assert scripts == {p.stem for p in (ROOT / "training").glob("*.py") if not p.stem.startswith("_")}


def test_every_dependency_has_its_reason() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = set(re.findall(r'^  "([a-z][a-z0-9-]+)[>=<]', project, flags=re.MULTILINE))
    table = README[README.index("| package | for |") : README.index("## Limits")]
    assert {name for name in required if name not in table} == set()


def test_every_file_linked_is_there() -> None:
    prose = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", prose):
        assert (ROOT / target).exists(), target
