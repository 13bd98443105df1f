"""Artifacts appear whole or not at all, and are refused when a byte is not what was written."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from retrieve_rl import artifacts, documents, durable
from retrieve_rl.errors import DataError, ResourceError, UsageError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "thing"


def write(path, text="one", **options):
    with artifacts.create(path, kind="test", **options) as building:
        (building / "sub").mkdir()
        (building / "a.txt").write_text(text)
        (building / "sub" / "b.bin").write_bytes(bytes(100))
    return path


def fail_with(number):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    return fail


def run_python(code, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], **options)


def test_what_is_created_is_verified(path):
    manifest = artifacts.verify(write(path, made_from={"x": "y"}), kind="test")
    assert manifest.made_from == {"x": "y"} and manifest.metadata == {}
    assert {name: file["size"] for name, file in manifest.files.items()} == {
        "a.txt": 3,
        "sub/b.bin": 100,
    }
    document = json.loads((path / artifacts.MANIFEST_NAME).read_text())
    assert document.pop("sha256") == manifest.digest == documents.digest_of(document)
    assert artifacts.read_manifest(path) == manifest


def test_metadata_is_read_when_the_block_ends(path):
    metadata = {}
    with artifacts.create(path, kind="test", metadata=metadata):
        metadata["seconds"] = 2
    assert artifacts.read_manifest(path).metadata == {"seconds": 2}


def test_two_that_differ_only_in_what_they_took_are_the_same(tmp_path):
    digests = {
        seconds: artifacts.verify(
            write(tmp_path / str(seconds), metadata={"dim": 3, "timings": {"seconds": seconds}})
        ).digest
        for seconds in (1.0, 2.0)
    }
    assert digests[1.0] == digests[2.0]
    other = write(tmp_path / "other", metadata={"dim": 4, "timings": {"seconds": 1.0}})
    assert artifacts.verify(other).digest != digests[1.0]


def test_a_failure_while_creating_leaves_nothing(path):
    with pytest.raises(KeyboardInterrupt):
        with artifacts.create(path, kind="test") as building:
            (building / "a.txt").write_text("half")
            raise KeyboardInterrupt
    assert list(path.parent.iterdir()) == []


def test_a_failure_while_creating_leaves_the_old_one(path):
    write(path)
    with pytest.raises(RuntimeError):
        with artifacts.create(path, kind="test") as building:
            (building / "a.txt").write_text("half")
            raise RuntimeError
    assert artifacts.verify(path) and (path / "a.txt").read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_a_process_that_dies_while_creating_leaves_no_artifact(path):
    code = (
        "import os, sys, pathlib; from retrieve_rl import artifacts\n"
        "with artifacts.create(pathlib.Path(sys.argv[1]), kind='test') as building:\n"
        "    (building / 'a').write_text('half'); os._exit(9)"
    )
    assert run_python(code, path).wait() == 9
    assert not path.exists()
    assert artifacts.verify(write(path))


def test_an_artifact_replaces_another_whole(path):
    write(path)
    with artifacts.create(path, kind="test") as building:
        (building / "c").write_text("new")
    assert set(artifacts.verify(path).files) == {"c"}
    assert list(path.parent.iterdir()) == [path]


def truncate(path):
    (path / "sub" / "b.bin").write_bytes(bytes(99))


def link(path):
    (path / "a.txt").rename(path.parent / "elsewhere")
    (path / "a.txt").symlink_to(path.parent / "elsewhere")


def forget_manifest(path):
    (path / artifacts.MANIFEST_NAME).unlink()


def manifest_from_the_future(path):
    document = documents.read_document(path / artifacts.MANIFEST_NAME)
    documents.write_document(path / artifacts.MANIFEST_NAME, {**document, "schema_version": 99})


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: (path / "a.txt").unlink(), "is missing"),
        (lambda path: (path / "a.txt").write_text("two"), "has changed"),
        (truncate, "has 99 bytes"),
        (lambda path: (path / "extra").write_text(""), "is not listed"),
        (link, "is a link"),
        (forget_manifest, "is not an artifact"),
        (lambda path: (path / artifacts.MANIFEST_NAME).write_text("{"), "cannot be read"),
        (lambda path: (path / artifacts.MANIFEST_NAME).write_text("{}"), "has no schema version"),
        (manifest_from_the_future, "schema version 99, .* take a newer version of this program"),
    ],
)
def test_damage_is_refused(path, damage, message):
    damage(write(path))
    with pytest.raises(DataError, match=message):
        artifacts.verify(path, kind="test")


def test_a_linked_folder_and_another_kind_are_refused(path):
    write(path)
    with pytest.raises(DataError, match="holds a test, expected a memory"):
        artifacts.verify(path, kind="memory")
    (path / "linked").symlink_to(path / "sub")
    with pytest.raises(DataError, match="is a link"):
        artifacts.verify(path)


def test_a_link_cannot_enter_an_artifact(path):
    with pytest.raises(DataError, match="is a link"):
        with artifacts.create(path, kind="test") as building:
            (building / "a").symlink_to("/dev/null")
    assert list(path.parent.iterdir()) == []


def test_a_file_is_replaced_whole(path, monkeypatch):
    artifacts.write_file(path, "old")
    artifacts.write_file(path, b"new")
    assert path.read_bytes() == b"new"
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail_with(errno.EIO))
            with pytest.raises(OSError):
                artifacts.write_file(path, "newer")
        assert path.read_bytes() == b"new" and list(path.parent.iterdir()) == [path]


def test_what_a_dead_writer_left_is_deleted_and_that_of_a_living_one_is_not(path):
    path.parent.mkdir(exist_ok=True)
    orphan, living, of_another = (
        path.with_name(f".{name}") for name in ("thing.tmp-1", "thing.tmp-2", "other.tmp-3")
    )
    for file in (orphan, living, of_another):
        file.write_text("half")
    with open(living) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        artifacts.write_file(path, "new")
    assert sorted(path.parent.iterdir()) == sorted([path, living, of_another])
    artifacts.write_file(path, "newer")
    assert sorted(path.parent.iterdir()) == sorted([path, of_another])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_the_old_state(path, monkeypatch, number):
    write(path / "artifact")
    artifacts.write_file(path / "file", "old")
    before = sorted(path.rglob("*"))
    monkeypatch.setattr(os, "fsync", fail_with(number))
    with pytest.raises(ResourceError, match="disk is full"):
        artifacts.write_file(path / "file", "new")
    with pytest.raises(ResourceError, match="disk is full"):
        write(path / "artifact", "two")
    monkeypatch.undo()
    assert artifacts.verify(path / "artifact") and (path / "file").read_text() == "old"
    assert (path / "artifact" / "a.txt").read_text() == "one"
    assert sorted(path.rglob("*")) == before


def test_one_writer_at_a_time(path):
    with artifacts.lock(path):
        with pytest.raises(UsageError, match=f"process {os.getpid()}"):
            with artifacts.lock(path):
                pass
    with artifacts.lock(path):
        pass


def test_a_lock_dies_with_its_process(path):
    code = (
        "import sys, time, pathlib; from retrieve_rl import artifacts\n"
        "with artifacts.lock(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    holder = run_python(code, path, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=f"process {holder.pid}"):
            with artifacts.lock(path):
                pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    with artifacts.lock(path, wait_seconds=1):
        pass


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_json_is_strict(value):
    with pytest.raises(ValueError):
        artifacts.to_json({"a": [value]})


def test_json_is_sorted():
    assert artifacts.to_json({"b": 1, "a": 2}) == artifacts.to_json({"a": 2, "b": 1})


def test_arrays_come_back_and_objects_are_refused(path):
    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "y/z": np.array([True])}
    artifacts.save_arrays(path, arrays)
    loaded = artifacts.load_arrays(path)
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)
    with open(path, "wb") as file:
        np.savez(file, x=np.array([object()]))
    with pytest.raises(ValueError, match="[Pp]ickle|[Oo]bject"):
        artifacts.load_arrays(path)


def test_a_digest_tells_names_types_shapes_and_values_apart():
    array = np.arange(4, dtype=np.int32)
    others = [
        {"b": array},
        {"a": array.astype(np.uint32)},
        {"a": array.reshape(2, 2)},
        {"a": array[::-1]},
        {"a": array, "b": array},
    ]
    digests = {artifacts.sha256_of_arrays(arrays) for arrays in [{"a": array}, *others]}
    assert len(digests) == 6
    strided = np.repeat(array, 2)[::2]
    assert artifacts.sha256_of_arrays({"a": strided}) == artifacts.sha256_of_arrays({"a": array})


def test_removing_leaves_nothing(path):
    artifacts.remove(write(path))
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("links", [True, False])
def test_linked_files_belong_to_both_artifacts(path, tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", fail_with(errno.EOPNOTSUPP))
    manifest, described = artifacts.verify(write(path)), {}
    with artifacts.create(tmp_path / "b", kind="test", described=described) as building:
        described |= artifacts.link_files(path, manifest, building, "from-a")
        (building / "own").write_text("y")
    artifacts.remove(path)
    linked = artifacts.verify(tmp_path / "b")
    assert set(linked.files) == {"own", "from-a/a.txt", "from-a/sub/b.bin"}
    assert (tmp_path / "b/from-a/a.txt").read_text() == "one"


def test_a_part_is_verified_alone(path):
    write(path)
    (path / "a.txt").write_text("two")
    artifacts.verify(path, within="sub")
    (path / "sub" / "stranger").write_text("z")
    with pytest.raises(DataError, match="stranger is not listed"):
        artifacts.verify(path, within="sub")


@pytest.mark.parametrize("text", ['{"a": 1.5e999}', '{"a": -1e400}', '{"a": NaN}'])
def test_a_number_that_is_not_finite_is_no_document(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match="is no JSON"):
        documents.read_json(tmp_path / "a.json")


def test_the_key_of_the_digest_is_taken(tmp_path):
    with pytest.raises(ValueError, match="'sha256' is the key"):
        documents.write_document(tmp_path / "a.json", {"sha256": "mine"})


def test_what_is_deleted_needs_no_room(tmp_path, monkeypatch):
    def full(**names):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.txt").touch()
    monkeypatch.setattr(durable.tempfile, "mkdtemp", full)
    durable.remove(tmp_path / "old")
    assert list(tmp_path.iterdir()) == []
