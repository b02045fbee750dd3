"""What a model's own parameters say of its `execute`: how many batches at once, and what of requests without an end.

These two are this server's; Triton passes them to the model like any other. Owns their names, defaults and checks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from jupyter_pyserve.model.values import ModelConfig

MAX_CONCURRENCY: Final = "MAX_CONCURRENCY"
KEEP_UNFINISHED_REQUESTS: Final = "KEEP_UNFINISHED_REQUESTS"
#: Of as many digits as anybody could mean.
_LIMIT: Final = re.compile("0{0,9}[1-9][0-9]{0,18}")
_ANSWERS: Final = {"yes": True, "no": False}


def max_concurrency(config: ModelConfig) -> int | None:
    """How many batches of one instance may be begun and not answered to the end; None: no limit is set."""
    text = config.parameters.get(MAX_CONCURRENCY)
    return None if text is None else int(text)


def keep_unfinished_requests(config: ModelConfig) -> bool:
    """Whether a request stays open that nobody can answer any more, as on Triton."""
    return _ANSWERS[config.parameters.get(KEEP_UNFINISHED_REQUESTS, "no")]


def execution_problems(config: ModelConfig) -> Iterator[str]:
    """What is wrong with these parameters; they may be read when nothing is."""
    limit = config.parameters.get(MAX_CONCURRENCY, "1")
    if not _LIMIT.fullmatch(limit):
        yield (
            f"parameter '{MAX_CONCURRENCY}' of model '{config.name}' must be a whole number of at least 1, "
            f"but is '{limit}'"
        )
    keep = config.parameters.get(KEEP_UNFINISHED_REQUESTS, "no")
    if keep not in _ANSWERS:
        yield f"parameter '{KEEP_UNFINISHED_REQUESTS}' of model '{config.name}' must be 'yes' or 'no', but is '{keep}'"
