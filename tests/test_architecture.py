"""The house: every module has its layer, imports point down, and only what is listed is needed."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [  # lowest first; modules to come are named, too
    {
        "bilstm",
        "vocabulary",
        "geometry",
        "metrics",
        "components",
        "guard",
        "memory",
        "low_rank",
        "options",
        "remarks",
        "lettering",
        "upended",
    },
    {"document", "image", "inputs", "modelfile", "likelihood", "language", "regions", "columns"},
    {
        "preprocessing",
        "residual",
        "hub",
        "trellis",
        "documents",
        "hocr",
        "alto",
        "pdf",
        "drawing",
        "evidence",
        "passages",
        "reading_order",
        "projection",
        "deskew",
        "outline",
        "check_boxes",
    },
    {"models", "constraints"},
    {"config", "pretrained", "patterns", "beam", "formats", "windows", "gutters", "extents", "framing"},
    {"decoding", "shapes", "onnx_graph", "sides", "codes"},
    {"crnn", "linenet", "onnx_runtime"},
    {"detection", "recognition", "inference", "export", "extension"},
    {"consensus", "layout", "runtimes", "sharing"},
    {"retry", "sight"},
    {"small"},
    {"reader"},
    {"live"},
    {"cli"},
]
ABOVE_ALL = {"__init__", "__main__"}  # may import anything of the package
MODULES = sorted(path.stem for path in (ROOT / "simpleocr").glob("*.py"))
NEVER = {
    "training",
    "tests",
    "app",
    "gradio",
    "datasets",
    "matplotlib",
    "cv2",
    "onnx",
    "onnxruntime",
    "tqdm",
    "rapidfuzz",
}
IMPORT_NAMES = {"pillow": "PIL"}  # where it is not the distribution's name with underscores
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = {
    IMPORT_NAMES.get(name, name.replace("-", "_"))
    for name in (re.split(r"[^\w.-]", requirement)[0].lower() for requirement in PROJECT["dependencies"])
}


def level(module: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if module in layer)


def imports(module: str, *, top_level: bool) -> Iterator[tuple[str, str]]:
    """(what is imported from, name) of each import; of those that run at import only, if `top_level`."""
    todo: list[ast.AST] = [ast.parse((ROOT / "simpleocr" / f"{module}.py").read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif top_level and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo.extend(node.orelse)  # what is imported for the type checker alone never runs
        elif not (top_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
            todo.extend(ast.iter_child_nodes(node))


def of_the_package(module: str) -> set[str]:
    """The modules of simpleocr that one imports, anywhere; "__init__" for names of the package itself."""
    found = set()
    for source, name in imports(module, top_level=False):
        if source == "simpleocr":
            found.add(name if name in MODULES else "__init__")
        elif source.startswith("simpleocr."):
            found.add(source.split(".")[1])
    return found


def test_the_package_is_flat() -> None:
    assert [path for path in (ROOT / "simpleocr").rglob("*.py") if path.parent.name != "simpleocr"] == []
    assert {"utils", "util", "common", "base", "helpers", "misc", "core"}.isdisjoint(MODULES)


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ABOVE_ALL])
def test_every_module_has_one_layer_and_imports_only_from_below(module: str) -> None:
    assert sum(module in layer for layer in LAYERS) == 1, f"{module}: give it one layer in LAYERS"
    for other in of_the_package(module):
        if other == "__init__":  # which imports nearly everything: for the command alone
            assert module == "cli", f"{module} imports from the package itself"
        else:
            assert other in MODULES, f"{module} imports {other}, which is not there"
            assert level(other) < level(module), f"{module} imports {other}, which is not below it"


@pytest.mark.parametrize("module", MODULES)
def test_only_listed_packages_are_imported_at_the_top(module: str) -> None:
    allowed = RUNTIME | sys.stdlib_module_names | {"simpleocr"}
    assert {source.split(".")[0] for source, _ in imports(module, top_level=True)} <= allowed


@pytest.mark.parametrize("module", MODULES)
def test_nothing_of_training_app_and_tests_is_ever_imported(module: str) -> None:
    assert NEVER.isdisjoint(source.split(".")[0] for source, _ in imports(module, top_level=True))
    anywhere = {source.split(".")[0] for source, _ in imports(module, top_level=False)}
    assert {"training", "tests", "app"}.isdisjoint(anywhere)


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_its_purpose_in_its_first_line(module: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / "simpleocr" / f"{module}.py").read_text()))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ";"))


def test_the_runtime_packages_are_the_known_ones() -> None:
    assert {"torch", "numpy", "PIL", "safetensors", "huggingface_hub"} <= RUNTIME
    assert NEVER.isdisjoint(RUNTIME)


def test_nothing_happens_at_import() -> None:
    code = f"""
import sys, warnings, torch
threads, seed, dtype, filters = torch.get_num_threads(), torch.initial_seed(), torch.get_default_dtype(), warnings.filters[:]
import simpleocr.crnn
assert (threads, seed, dtype) == (torch.get_num_threads(), torch.initial_seed(), torch.get_default_dtype())
assert warnings.filters == filters, warnings.filters
unwanted = {sorted(NEVER - {"tqdm"})!r}
assert not (found := [name for name in unwanted if name in sys.modules]), found
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
