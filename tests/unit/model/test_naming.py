"""Instance names and model names."""

from __future__ import annotations

import pytest

from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import check_model_name, instance_specs, parse_pbtxt


@pytest.mark.parametrize(
    ("text", "gpus", "expected"),
    [
        ("", 0, [("m_0", "m", "CPU", 0, "cpu")]),
        ("instance_group { count: 2 }", 0, [("m_0_0", "m_0", "CPU", 0, "cpu"), ("m_0_1", "m_0", "CPU", 0, "cpu")]),
        (
            'instance_group { name: "g" } instance_group { kind: KIND_MODEL host_policy: "h" }',
            0,
            [("g_0", "g", "CPU", 0, "cpu"), ("m_1_0", "m_1", "MODEL", 0, "h")],
        ),
        (
            "instance_group { kind: KIND_GPU count: 2 }",
            2,
            [
                ("m_0_0", "m_0", "GPU", 0, "gpu_0"),
                ("m_0_0", "m_0", "GPU", 1, "gpu_1"),
                ("m_0_1", "m_0", "GPU", 0, "gpu_0"),
                ("m_0_1", "m_0", "GPU", 1, "gpu_1"),
            ],
        ),
    ],
)
def test_instances(text: str, gpus: int, expected: list[tuple[str, str, str, int, str]]) -> None:
    specs = instance_specs(parse_pbtxt(text, model_name="m", path="p", gpus=gpus))
    assert [(s.name, s.group, s.kind, s.device_id, s.host_policy) for s in specs] == expected


def test_passive_instances_say_so() -> None:
    config = parse_pbtxt("instance_group { passive: true }", model_name="m", path="p")
    assert [s.passive for s in instance_specs(config)] == [True]


@pytest.mark.parametrize("name", ["m", "my_model", "a.b", "a-1", "ünï", "with space", "a,b", "a:b", "x" * 255])
def test_ordinary_names_are_fine(name: str) -> None:
    check_model_name(name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "Model name cannot be empty. Please enter a valid name to deploy."),
        ("../x", "invalid model name '../x', model name must not contain path traversal characters"),
        ("..", "invalid model name '..', model name must not contain path traversal characters"),
        (".", "invalid model name '.', model name must not contain path traversal characters"),
        ("a/b", "invalid model name 'a/b', model name must not contain path traversal characters"),
        ("a\\b", "invalid model name 'a\\b', model name must not contain path traversal characters"),
        ("a..b", "invalid model name 'a..b', model name must not contain '..'"),
        ("a\nb", "invalid model name 'a\\nb', model name must not contain control characters"),
        ("../a\nb", "invalid model name '../a\\nb', model name must not contain control characters"),
        ("a\0", "invalid model name 'a\\x00', model name must not contain control characters"),
        ("\x85", "invalid model name '\\x85', model name must not contain control characters"),
        (".hidden", "invalid model name '.hidden', model name must not begin with '.'"),
        ("-rf", "invalid model name '-rf', model name must not begin with '-'"),
        ("\ud800", "invalid model name '\\ud800', model name must be valid Unicode"),
    ],
)
def test_impossible_names_are_refused(name: str, text: str) -> None:
    with pytest.raises(PyServeError) as caught:
        check_model_name(name)
    assert caught.value.code is Code.INVALID_ARG
    assert caught.value.message == text


@pytest.mark.parametrize("character", ";|&$`<>()[]{}'\"*?~#!")
def test_characters_that_mean_something_to_a_shell_are_refused(character: str) -> None:
    with pytest.raises(PyServeError, match="model name must not contain"):
        check_model_name(f"a{character}b")


def test_the_length_is_counted_in_bytes() -> None:
    check_model_name("é" * 127)
    with pytest.raises(PyServeError, match="must not be longer than 255 bytes"):
        check_model_name("é" * 128)
