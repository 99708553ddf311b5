"""Options: a parser of command lines to which --batch-size is --batch_size."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any


class Parser(argparse.ArgumentParser):
    """As argparse has it; names of options are declared with underscores and may be given with hyphens as well."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse's; parse_args() and those of subcommands come through here."""
        return super().parse_known_args(_underscored(sys.argv[1:] if args is None else args), namespace)


def _underscored(given: Sequence[str]) -> list[str]:
    """The same with underscores in the names of options, not in their values, nor in what stands behind a "--"."""
    options = given[: given.index("--")] if "--" in given else given
    spelled = []
    for one in options:
        name, equals, value = one.partition("=")
        spelled.append("--" + name[2:].replace("-", "_") + equals + value if name.startswith("--") else one)
    return [*spelled, *given[len(options) :]]
