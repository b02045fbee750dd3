"""Headers that become parameters of an inference request, where the server's owner wants that."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Final

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.v2.messages import InferRequest

#: Names and values.
Headers = tuple[tuple[str, str], ...]

_RESERVED: Final = frozenset(
    ("sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers", "binary_data_output")
)
#: A group of flags in front, which Triton's expressions may have.
_FLAGS: Final = re.compile(r"\(\?(-?)i\)")


class HeaderPattern:
    """Chooses headers by their names; a name counts in any case, unless the expression begins with `(?-i)`."""

    __slots__ = ("_hidden", "_pattern")

    def __init__(self, expression: str, hidden: frozenset[str] = frozenset()) -> None:
        """Raises `ValueError` for an expression that is none; of `hidden` names (in lower case) none is chosen."""
        flags = re.IGNORECASE
        while found := _FLAGS.match(expression):
            flags = re.RegexFlag(0) if found[1] else re.IGNORECASE
            expression = expression[found.end() :]
        try:
            self._pattern = re.compile(expression, flags)
        except re.error as error:
            raise ValueError(f"invalid regular expression {expression!r}: {error}") from None
        self._hidden = hidden

    def choose(self, headers: Iterable[tuple[str, str]]) -> Headers:
        """Those whose names match anywhere."""
        search, hidden = self._pattern.search, self._hidden
        return tuple([(name, value) for name, value in headers if search(name) and name.lower() not in hidden])


def with_headers(request: InferRequest, headers: Headers) -> InferRequest:
    """The request with these headers among its parameters; raises `PyServeError` for a name with a meaning."""
    if not headers:
        return request
    for name, _ in headers:
        if name in _RESERVED or name.startswith("triton_"):
            text = f"Header '{name}' is reserved for Triton usage and cannot be forwarded."
            raise PyServeError(Code.INVALID_ARG, text)
    return dataclasses.replace(request, parameters={**request.parameters, **dict(headers)})
