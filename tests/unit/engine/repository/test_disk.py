from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from jupyter_pyserve.engine.repository.disk import (
    Deployment,
    Repositories,
    delete_model,
    list_versions,
    same_version,
    sign,
    write_count,
)
from jupyter_pyserve.errors import Code, PyServeError
from jupyter_pyserve.model.config import Identity

CONFIG = """backend: "python"
input [ { name: "IN" data_type: TYPE_FP32 dims: [ -1 ] } ]
output [ { name: "OUT" data_type: TYPE_FP32 dims: [ -1 ] } ]
"""
M = Identity("", "m")
SOURCE = "class TritonPythonModel: ...\n"


def write(path: Path, text: str = SOURCE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text()
        for path in root.rglob("*")
        if path.is_file() and path.name != ".deploy.json"
    }


# -- looking ----------------------------------------------------------------------------------------------------------


def test_models_are_the_directories(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden", "__pycache__", ".ipynb_checkpoints"):
        (tmp_path / name).mkdir()
    write(tmp_path / "README")
    assert [identity.name for identity in Repositories((str(tmp_path),)).places()] == ["a", "b"]


def test_a_model_in_two_repositories(tmp_path: Path) -> None:
    for place in ("one/m", "two/m", "two/n"):
        (tmp_path / place).mkdir(parents=True)
    repositories = Repositories((str(tmp_path / "one"), str(tmp_path / "two")))
    found = repositories.places()
    assert (len(found[M]), len(found[Identity("", "n")])) == (2, 1)
    with pytest.raises(PyServeError, match="not unique across all model repositories"):
        repositories.read(M)
    assert (list(repositories.signatures()[0]), repositories.signatures()[1]) == ([Identity("", "n")], {M})


def test_the_same_name_in_two_namespaces(tmp_path: Path) -> None:
    for place in ("one", "two"):
        write(tmp_path / place / "m" / "1" / "model.py")
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    repositories = Repositories((one, two), namespacing=True)
    assert list(repositories.places()) == [Identity(one, "m"), Identity(two, "m")]
    assert repositories.read(Identity(two, "m")).model_dir == f"{two}/m"
    assert repositories.identity(1, "x") == Identity(two, "x")
    assert not repositories.signatures()[1]


def test_a_repository_that_is_gone_is_empty(tmp_path: Path) -> None:
    assert Repositories((str(tmp_path / "absent"),)).places() == {}


def test_what_is_no_model_hides_no_other(tmp_path: Path) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    for link in (tmp_path / "loop", tmp_path / "m" / "loop"):
        link.symlink_to(link)
    (tmp_path / "m" / "nowhere").symlink_to(tmp_path / "absent")
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    write(tmp_path.joinpath("m", *"d" * 200) / "file")
    repositories = Repositories((str(tmp_path),))
    found, _ = repositories.signatures()
    assert list(found) == [M]
    assert [row[0] for row in found[M] if row[0].endswith("file")] == []
    assert repositories.read(M).versions == (1,)


@pytest.mark.parametrize("what", ["pipe", "directory", "device"])
def test_a_configuration_that_is_no_file(what: str, tmp_path: Path) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    path = tmp_path / "m" / "config.pbtxt"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(PyServeError, match=re.escape(f"failed to open text file for read {path}: ")):
        Repositories((str(tmp_path),)).read(M)


def test_versions_are_plain_decimal_numbers(tmp_path: Path) -> None:
    for name in ("1", "10", "2", "0", "01", "-1", "+3", "x", "1.0", "configs", "٣", "²", "1_0", " 4"):
        (tmp_path / name).mkdir()
    write(tmp_path / "7")
    assert list_versions(str(tmp_path)) == [0, 1, 2, 10]


def test_a_version_that_was_being_deployed_does_not_count(tmp_path: Path) -> None:
    write(tmp_path / "1" / "model.py")
    write(tmp_path / "2" / ".pyserve-pending", "")
    assert list_versions(str(tmp_path)) == [1]


def test_a_model_is_read(tmp_path: Path) -> None:
    write(tmp_path / "m" / "config.pbtxt", CONFIG)
    write(tmp_path / "m" / "1" / "model.py")
    write(tmp_path / "m" / "3" / "model.py")
    source = Repositories((str(tmp_path),)).read(M)
    assert (source.name, source.versions, source.config.backend) == ("m", (3,), "python")
    assert source.model_dir == str(tmp_path / "m")


def test_the_backend_is_deduced_from_the_file(tmp_path: Path) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    assert Repositories((str(tmp_path),)).read(M).config.backend == "python"


def test_another_configuration_by_name(tmp_path: Path) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    write(tmp_path / "m" / "config.pbtxt", CONFIG)
    write(tmp_path / "m" / "configs" / "big.pbtxt", CONFIG + "max_batch_size: 9")
    assert Repositories((str(tmp_path),), config_name="big").read(M).config.max_batch_size == 9
    assert Repositories((str(tmp_path),), config_name="absent").read(M).config.max_batch_size == 0


@pytest.mark.parametrize("config", [None, '{"backend": "python"}'])
def test_instances_are_on_gpus_where_there_are_any(tmp_path: Path, config: str | None) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    for count, kind in ((0, "KIND_CPU"), (2, "KIND_GPU")):
        (group,) = Repositories((str(tmp_path),), gpu_count=count).read(M, config=config).config.instance_groups
        assert (group.kind, group.gpus) == (kind, tuple(range(count)))


@pytest.mark.parametrize(
    ("config", "message"),
    [("nonsense {", "config.pbtxt"), (CONFIG + "max_batch_size: -1", "max_batch_size")],
)
def test_what_is_wrong_is_said(tmp_path: Path, config: str, message: str) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    write(tmp_path / "m" / "config.pbtxt", config)
    with pytest.raises(PyServeError, match=message):
        Repositories((str(tmp_path),)).read(M)


def test_a_comment_may_be_in_any_encoding(tmp_path: Path) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    (tmp_path / "m" / "config.pbtxt").write_bytes(b"# f\xfcr alle\nmax_batch_size: 3")
    assert Repositories((str(tmp_path),)).read(M).config.max_batch_size == 3


def test_nobody(tmp_path: Path) -> None:
    with pytest.raises(PyServeError, match="failed to poll model 'm': model not found in any model repository"):
        Repositories((str(tmp_path),)).read(M)


def test_directories_that_are_no_versions_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    for name in ("003", "abc", "configs", "warmup", "initial_state", "__pycache__", ".git"):
        (tmp_path / "m" / name).mkdir()
    write(tmp_path / "m" / "config.pbtxt", "version_policy { specific { versions: [ 1, 7 ] } }")
    assert Repositories((str(tmp_path),)).read(M).versions == (1,)
    assert caplog.messages == [
        "ignore version directory '003' which contains leading zeros in its directory name",
        "ignore version directory 'abc' which fails to convert to integral number",
        "version 7 is specified for model 'm', but the version directory is not present",
    ]


def test_a_configuration_may_be_required(tmp_path: Path) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    strict = Repositories((str(tmp_path),), auto_complete=False)
    with pytest.raises(PyServeError) as refused:
        strict.read(M)
    path = tmp_path / "m" / "config.pbtxt"
    assert refused.value.message == f"failed to open text file for read {path}: No such file or directory"
    assert strict.read(M, config='{"backend":"python"}').versions == (1,)
    write(path, CONFIG)
    assert strict.read(M).versions == (1,)


def test_signature_changes_with_the_files_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path / "1" / "model.py")
    before = sign(str(tmp_path))
    write(tmp_path / "1" / "__pycache__" / "model.cpython-311.pyc")
    write(tmp_path / ".ipynb_checkpoints" / "x")
    for name in (".model.py.swp", "4913", "model.py~", ".#model.py", "#model.py#", "x.tmp", "y.part", ".nfs0a1b"):
        write(tmp_path / "1" / name)
    write(tmp_path / "config.pbtxt.0123abcd")
    assert sign(str(tmp_path)) == before
    (tmp_path / "2").mkdir()
    assert sign(str(tmp_path)) != before
    (tmp_path / "2").rmdir()
    os.utime(path, ns=(1, 1))
    touched = sign(str(tmp_path))
    assert touched != before
    write(tmp_path / "1" / "weights")
    assert sign(str(tmp_path)) != touched


@pytest.mark.parametrize(
    ("path", "same"),
    [
        ("config.pbtxt", True),
        ("configs/big.pbtxt", True),
        ("2/model.py", True),
        ("1/model.py", False),
        ("1/deep/weights", False),
        ("labels.txt", False),
        ("warmup/data", False),
    ],
)
def test_a_version_is_the_same_whatever_happens_beside_it(tmp_path: Path, path: str, same: bool) -> None:
    write(tmp_path / "1" / "model.py")
    before = sign(str(tmp_path))
    write(tmp_path / path, "# changed\n")
    assert same_version(before, sign(str(tmp_path)), 1) is same


def test_a_version_that_has_moved_is_another(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1" / "model.py")
    before = sign(str(tmp_path / "a"))
    (tmp_path / "a").rename(tmp_path / "b")
    assert not same_version(before, sign(str(tmp_path / "b")), 1)


@pytest.mark.parametrize("config", ["", 'instance_group { name: "g" count: 2 } instance_group { count: 7 }'])
def test_the_first_group_is_said_to_have_so_many(tmp_path: Path, config: str) -> None:
    write(tmp_path / "m" / "1" / "model.py")
    if config:
        write(tmp_path / "m" / "config.pbtxt", config)
    signature = write_count(str(tmp_path), "m", 5)
    source = Repositories((str(tmp_path),)).read(M)
    assert source.config.instance_groups[0].count == 5
    assert [group.count for group in source.config.instance_groups[1:]] == ([7] if config else [])
    assert source.signature == signature


# -- deploying --------------------------------------------------------------------------------------------------------


def deploy(root: Path, source: str = SOURCE, config: str | None = CONFIG) -> Deployment:
    deployment = Deployment(str(root), "m", source, config)
    deployment.stage()
    deployment.commit()
    return deployment


def test_a_first_deploy(tmp_path: Path) -> None:
    deployment = Deployment(str(tmp_path), "m", SOURCE, CONFIG)
    assert deployment.unchanged_version() is None
    source = deployment.stage()
    assert (source.name, source.versions, deployment.version) == ("m", (1,), 1)
    assert list_versions(str(tmp_path / "m")) == []
    deployment.commit()
    assert tree(tmp_path) == {"m/config.pbtxt": CONFIG, "m/1/model.py": SOURCE}
    assert Repositories((str(tmp_path),)).read(M).versions == (1,)


def test_commit_signs_what_a_load_would_find(tmp_path: Path) -> None:
    deployment = Deployment(str(tmp_path), "m", SOURCE, CONFIG)
    deployment.stage()
    assert deployment.commit() == Repositories((str(tmp_path),)).read(M).signature


def test_the_next_version(tmp_path: Path) -> None:
    deploy(tmp_path)
    assert deploy(tmp_path, "new = 1\n" + SOURCE, None).version == 2
    assert tree(tmp_path) == {"m/1/model.py": SOURCE, "m/2/model.py": "new = 1\n" + SOURCE}


def test_versions_of_deploys_long_past_go_unless_the_policy_selects_them(tmp_path: Path) -> None:
    policy = "version_policy: { all { } }"
    for number in range(12):
        deploy(tmp_path, f"n = {number}", policy)
    assert list_versions(str(tmp_path / "m")) == list(range(1, 13))
    assert deploy(tmp_path, "n = 12", CONFIG).version == 13
    assert list_versions(str(tmp_path / "m")) == list(range(4, 14))
    signature = Repositories((str(tmp_path),)).read(M).signature
    assert not any(row[0].startswith(("1/", ".")) for row in signature)


def test_until_commit_the_old_version_is_the_model(tmp_path: Path) -> None:
    deploy(tmp_path)
    Deployment(str(tmp_path), "m", "new", CONFIG + "max_batch_size: 4").stage()
    source = Repositories((str(tmp_path),)).read(M)
    assert (source.versions, source.config.max_batch_size) == ((1,), 0)


def test_the_same_again_is_unchanged(tmp_path: Path) -> None:
    deploy(tmp_path)
    assert Deployment(str(tmp_path), "m", SOURCE, CONFIG).unchanged_version() == 1
    assert Deployment(str(tmp_path), "m", SOURCE + "#", CONFIG).unchanged_version() is None
    assert Deployment(str(tmp_path), "m", SOURCE, CONFIG + "#").unchanged_version() is None
    assert Deployment(str(tmp_path), "m", SOURCE, None).unchanged_version() is None


def test_what_went_back_is_a_new_version(tmp_path: Path) -> None:
    deploy(tmp_path)
    deploy(tmp_path, "other")
    assert Deployment(str(tmp_path), "m", SOURCE, CONFIG).unchanged_version() is None


@pytest.mark.parametrize("existing", [True, False])
def test_rolling_back_leaves_everything_as_it_was(tmp_path: Path, existing: bool) -> None:
    if existing:
        deploy(tmp_path)
    before = tree(tmp_path)
    deployment = Deployment(str(tmp_path), "m", "broken", CONFIG + "max_batch_size: 4")
    deployment.stage()
    deployment.roll_back()
    assert tree(tmp_path) == before
    assert (tmp_path / "m").exists() == existing


def test_rolling_back_before_staging_touches_nothing(tmp_path: Path) -> None:
    deploy(tmp_path)
    before = tree(tmp_path)
    Deployment(str(tmp_path), "m", "broken", CONFIG).roll_back()
    assert tree(tmp_path) == before


@pytest.mark.parametrize("config", ["nonsense {", CONFIG + "max_batch_size: -1"])
def test_a_config_that_is_wrong_can_be_rolled_back(tmp_path: Path, config: str) -> None:
    deployment = Deployment(str(tmp_path), "m", SOURCE, config)
    with pytest.raises(PyServeError):
        deployment.stage()
    deployment.roll_back()
    assert list(tmp_path.iterdir()) == []


def test_what_a_crash_left_is_used_again(tmp_path: Path) -> None:
    deploy(tmp_path)
    crashed = Deployment(str(tmp_path), "m", "crashed", CONFIG)
    crashed.stage()
    write(tmp_path / "m" / "2" / "more")
    assert Deployment(str(tmp_path), "m", SOURCE, CONFIG).unchanged_version() == 1
    assert deploy(tmp_path, "after").version == 2
    assert tree(tmp_path / "m" / "2") == {"model.py": "after"}


def test_a_model_of_which_only_a_crash_is_left(tmp_path: Path) -> None:
    Deployment(str(tmp_path), "m", "crashed", CONFIG).stage()
    assert Deployment(str(tmp_path), "m", "crashed", CONFIG).unchanged_version() is None
    assert deploy(tmp_path).version == 1


def test_a_policy_that_would_not_serve_the_new_version(tmp_path: Path) -> None:
    deploy(tmp_path)
    chosen = CONFIG + "version_policy { specific { versions: [ 1 ] } }"
    deployment = Deployment(str(tmp_path), "m", "new", chosen)
    with pytest.raises(PyServeError, match="does not select version 2"):
        deployment.stage()
    deployment.roll_back()
    assert list_versions(str(tmp_path / "m")) == [1]


def test_the_other_versions_that_the_policy_selects_are_loaded_too(tmp_path: Path) -> None:
    both = CONFIG + "version_policy { all { } }"
    deploy(tmp_path, config=both)
    assert Deployment(str(tmp_path), "m", "new", both).stage().versions == (1, 2)


BAD_NAMES = ["", ".", "..", "a/b", "/etc", "../x", "a\\b", "a\nb", "a\0b", "\x1b[31m", "-x", ".x", "a;b", "x" * 300]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_names_that_no_model_may_have(tmp_path: Path, name: str) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    for action in (
        lambda: Deployment(str(repository), name, SOURCE, CONFIG),
        lambda: delete_model(str(repository), name),
    ):
        with pytest.raises(PyServeError) as refusal:
            action()
        assert refusal.value.code is Code.INVALID_ARG
        assert "\n" not in refusal.value.message
    assert [path.name for path in tmp_path.rglob("*")] == ["repository"]


def test_a_configuration_that_cannot_be_written_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m").mkdir()

    def full(old: str, new: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_count(str(tmp_path), "m", 5)
    assert list((tmp_path / "m").iterdir()) == []


def test_deleting(tmp_path: Path) -> None:
    deploy(tmp_path)
    write(tmp_path / "other" / "1" / "model.py")
    delete_model(str(tmp_path), "m")
    delete_model(str(tmp_path), "m")
    assert tree(tmp_path) == {"other/1/model.py": SOURCE}
