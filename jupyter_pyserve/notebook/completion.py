"""Tab completion of `%pyserve` and `%%pyserve`: commands, options, model names, datatypes.

Decides from the text before the cursor; asks for model names through a function it is given. Knows no IPython hook.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from jupyter_pyserve.notebook.options import CELL_COMMANDS, CONFIG_TYPES, LINE_COMMANDS, option_words

Names = Callable[[str], Iterable[str]]


def complete(text_until_cursor: str, symbol: str, names: Names) -> list[str]:
    """The words that may stand at the cursor; `symbol` is the part of the last word that they replace."""
    words = text_until_cursor.split()
    if not words or words[0].lstrip("%") != "pyserve":
        return []
    commands = CELL_COMMANDS if words[0].startswith("%%") else LINE_COMMANDS
    at_new_word = text_until_cursor[-1:].isspace()
    complete_words = words[1:] if at_new_word else words[1:-1]
    last = "" if at_new_word else words[-1]
    if not complete_words:
        return _matching(sorted(commands), symbol)
    command = complete_words[0]
    if command not in commands:
        return []
    return _matching(_arguments(commands[command], command, complete_words[1:], last, names), symbol)


def _arguments(
    parser: argparse.ArgumentParser, command: str, before: list[str], last: str, names: Names
) -> Iterable[str]:
    actions = {word: action for action in parser._actions for word in action.option_strings}
    pending = actions.get(before[-1]) if before else None
    if pending is not None and pending.nargs != 0:
        return _values(pending, last)
    if last.startswith("-"):
        return option_words(parser)
    takes_name = any(action.dest == "name" for action in parser._actions)
    if takes_name and not _has_name(before, actions):
        return names(command)
    return option_words(parser)


def _has_name(before: list[str], actions: dict[str, argparse.Action]) -> bool:
    expects_value = False
    for word in before:
        if expects_value:
            expects_value = False
        elif word in actions:
            expects_value = actions[word].nargs != 0
        elif not word.startswith("-"):
            return True
    return False


def _values(action: argparse.Action, last: str) -> Iterable[str]:
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    if action.dest in ("input", "output") and last.count(":") == 1:
        return [f"{name}:" for name in CONFIG_TYPES]
    return []


def _matching(words: Iterable[str], symbol: str) -> list[str]:
    return [word for word in words if word.startswith(symbol)]
