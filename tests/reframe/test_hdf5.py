"""Hostile HDF5: nothing outside the file is read, nothing larger than it can hold."""

import h5py
import numpy as np
import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.reframe.hdf5 import open_hdf5, read_array, read_flags, read_group


def external_link(file, secret):
    file["a"] = h5py.ExternalLink(str(secret), "/values")


def soft_link(file, secret):
    file["b"] = np.zeros(3)
    file["a"] = h5py.SoftLink("/b")


def virtual_data_set(file, secret):
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(secret), "values", shape=(3,))
    file.create_virtual_dataset("a", layout)


def external_storage(file, secret):
    file.create_dataset("a", (3,), "f8", external=[(str(secret), 0, 24)])


def declared_size(file, secret):
    file.create_dataset("a", (10**12,), "f8", chunks=(1000,))


def references(file, secret):
    file.create_dataset("a", (3,), h5py.ref_dtype)


def text(file, secret):
    file["a"] = ["x", "y", "z"]


def a_group(file, secret):
    file.create_group("a")


def nothing(file, secret):
    file.create_dataset("a", data=h5py.Empty("f8"))


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (external_link, "is a link"),
        (soft_link, "is a link"),
        (virtual_data_set, "in other files"),
        (external_storage, "in other files"),
        (declared_size, "far more than its file can hold"),
        (references, "expected numbers"),
        (text, "expected numbers"),
        (a_group, "is a group"),
        (nothing, "expected 1 axes"),
    ],
)
def test_refused(tmp_path, build, reason):
    secret = tmp_path / "secret.hdf5"
    with h5py.File(secret, "w") as file:
        file["values"] = np.arange(3.0)
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        build(file, secret)
    with (
        open_hdf5(tmp_path / "file.hdf5") as root,
        pytest.raises(DataError, match=f"file.hdf5: '/a' .*{reason}"),
    ):
        read_array(root, "a", 1)


def test_linked_group_is_refused(tmp_path):
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        file.create_group("b")
        file["a"] = h5py.SoftLink("/b")
        file["array"] = np.zeros(2)
    with open_hdf5(tmp_path / "file.hdf5") as root:
        with pytest.raises(DataError, match="is a link"):
            read_group(root, "a")
        with pytest.raises(DataError, match="is an array"):
            read_group(root, "array")


def test_compressed_constant_flags_are_fine(tmp_path):
    with h5py.File(tmp_path / "file.hdf5", "w") as file:
        file.create_dataset("flags", data=np.zeros(100_000, bool), compression="gzip")
        file.create_group("inside")["values"] = np.arange(4, dtype=np.int16)
    with open_hdf5(tmp_path / "file.hdf5") as root:
        assert not read_flags(root, "flags", 100_000).any()
        inside = read_group(root, "inside")
        np.testing.assert_array_equal(read_array(inside, "values", 1, rows=4), np.arange(4))
