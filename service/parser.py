"""The command line's parser: options go by their whole names, and of a misspelt word it says which may be meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import takewhile
from typing import Any


class Parser(argparse.ArgumentParser):
    """argparse's. Its subparsers, which are of the same class, refuse themselves what they don't know.

    Else a shortened option would be taken for whatever one begins so (`--seed 3` for three seeds), and a misspelt one
    be told of after everything else that is missing, with the usage of all commands.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **{"allow_abbrev": False, **options})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse's, but that nothing unknown is left.

        Raises:
            SystemExit: with the usage and a sentence.
        """
        self._refuse_unknown(sys.argv[1:] if args is None else args)
        parsed, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"this is too much: {' '.join(left)}")
        return parsed, left

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            near = get_close_matches(str(value), map(str, action.choices or ()), 1)
            if near:
                error.message += f"; did you mean {near[0]}?"
            raise

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        """Options that are none; of a parser with commands those before the command, as what follows is its own."""
        known = self._option_string_actions
        ours = words if self._subparsers is None else takewhile(lambda word: word.startswith("-"), words)
        for word in takewhile(lambda word: word != "--", ours):
            name = word.partition("=")[0]
            if name.startswith("--") and " " not in word and name not in known:
                near = get_close_matches(name, [option for option in known if option.startswith("--")], 1)
                remedy = f"did you mean {near[0]}?" if near else f"{self.prog} --help lists those that there are"
                self.error(f"there is no option {name}; {remedy}")
