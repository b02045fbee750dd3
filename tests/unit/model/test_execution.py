from __future__ import annotations

import pytest

from jupyter_pyserve.model.config import ModelConfig, parse_pbtxt
from jupyter_pyserve.model.execution import execution_problems, keep_unfinished_requests, max_concurrency


def config(**parameters: str) -> ModelConfig:
    entries = "".join(
        f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}' for key, value in parameters.items()
    )
    return parse_pbtxt(f'backend: "python" {entries}', model_name="m", path="config.pbtxt")


def test_nothing_is_limited_or_kept_unless_it_is_said() -> None:
    assert max_concurrency(config()) is None
    assert not keep_unfinished_requests(config())
    assert list(execution_problems(config())) == []


@pytest.mark.parametrize(("text", "limit"), [("1", 1), ("007", 7), ("1000000", 1_000_000)])
def test_a_limit(text: str, limit: int) -> None:
    made = config(MAX_CONCURRENCY=text)
    assert list(execution_problems(made)) == []
    assert max_concurrency(made) == limit


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many", " 2", "\u0662", "\u00b2", "9" * 5000])
def test_what_is_no_limit(text: str) -> None:
    assert list(execution_problems(config(MAX_CONCURRENCY=text))) == [
        f"parameter 'MAX_CONCURRENCY' of model 'm' must be a whole number of at least 1, but is '{text}'"
    ]


@pytest.mark.parametrize(("text", "kept"), [("yes", True), ("no", False)])
def test_unfinished_requests(text: str, kept: bool) -> None:
    made = config(KEEP_UNFINISHED_REQUESTS=text)
    assert list(execution_problems(made)) == []
    assert keep_unfinished_requests(made) is kept


@pytest.mark.parametrize("text", ["", "Yes", "true", "1"])
def test_what_is_neither_yes_nor_no(text: str) -> None:
    assert list(execution_problems(config(KEEP_UNFINISHED_REQUESTS=text, MAX_CONCURRENCY="x"))) == [
        "parameter 'MAX_CONCURRENCY' of model 'm' must be a whole number of at least 1, but is 'x'",
        f"parameter 'KEEP_UNFINISHED_REQUESTS' of model 'm' must be 'yes' or 'no', but is '{text}'",
    ]
