"""Tab completion of `%pyserve` and `%%pyserve`: commands, options, datatypes, and what has a name.

Decides from the text before the cursor what may stand there; asks for models, instances, versions, inputs and ids of
recordings through a function it is given. Knows no IPython hook.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from jupyter_pyserve.notebook.argument_types import CONFIG_TYPES
from jupyter_pyserve.notebook.commands.places import server_options
from jupyter_pyserve.notebook.options import CELL_COMMANDS, LINE_COMMANDS, option_words

#: What has names ("name", "instance", "version", "inputs"), for which command, of which model.
Names = Callable[[str, str, str], Iterable[str]]


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
    places = [action for action in parser._actions if not action.option_strings]
    given = _given(before, actions)
    model = given[0] if given and places and places[0].dest == "name" else ""
    pending = actions.get(before[-1]) if before else None
    if pending is not None and pending.nargs != 0:
        return _values(pending, last, lambda what: names(what, command, model))
    if last.startswith("-"):
        return [*option_words(parser), *(server_options() if command == "serve" else ())]
    if len(given) < len(places):
        place = places[len(given)]
    elif places and places[-1].nargs == "*":
        place = places[-1]
    else:
        return option_words(parser)
    if place.dest == "topic":
        return sorted({*LINE_COMMANDS, *CELL_COMMANDS})
    if place.dest == "name":
        return names("name", command, "")
    if place.dest == "inputs":
        taken = {word.partition("=")[0] for word in before if "=" in word}
        offered = [f"{name}=" for name in names("inputs", command, model) if name not in taken]
        return offered if "=" not in last else ()
    return [*names(place.dest, command, model), *option_words(parser)]


def _given(before: list[str], actions: dict[str, argparse.Action]) -> list[str]:
    """The words that are neither options nor their values."""
    found: list[str] = []
    expects_value = False
    for word in before:
        if expects_value:
            expects_value = False
        elif word in actions:
            expects_value = actions[word].nargs != 0
        elif not word.startswith("-"):
            found.append(word)
    return found


def _values(action: argparse.Action, last: str, names: Callable[[str], Iterable[str]]) -> Iterable[str]:
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    if action.dest in ("input", "output") and last.count(":") == 1:
        return [f"{name}:" for name in CONFIG_TYPES]
    return names(action.dest) if action.dest in ("instance", "version", "output") else ()


def _matching(words: Iterable[str], symbol: str) -> list[str]:
    return [word for word in words if word.startswith(symbol)]
