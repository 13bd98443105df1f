"""Key files: what is refused, and encoding that goes on where it was stopped."""

import numpy as np
import pytest

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, Interrupted
from retrieve_rl.progress import Reporter
from retrieve_rl.retrieval.keys import encode_keys, open_keys
from retrieve_rl.signals import StopRequest

SILENT = Reporter(verbosity=-1)


def write(path, array):
    np.save(path, array)
    return path


def truncated(path):
    write(path, np.ones((100, 4), np.float32))
    path.write_bytes(path.read_bytes()[:-5])
    return path


def archive(path):
    with open(path, "wb") as file:
        np.savez(file, keys=np.ones((2, 2), np.float32))
    return path


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda path: path, "is not there"),
        (truncated, "not a whole npy file"),
        (lambda path: path.write_bytes(b"") or path, "expected an npy file"),
        (archive, "expected an npy file"),
        (lambda path: write(path, np.array([{}])), "not a whole npy file"),
        (lambda path: write(path, np.ones(3, np.float32)), r"shape \(3,\)"),
        (lambda path: write(path, np.ones((3, 2))), "holds float64; expected float32"),
        (lambda path: write(path, np.ones((0, 2), np.float32)), "at least one row"),
        (lambda path: write(path, np.ones((3, 0), np.float32)), "one column"),
    ],
)
def test_a_file_that_holds_no_keys_is_refused(tmp_path, spoil, message):
    with pytest.raises(DataError, match=message):
        open_keys(spoil(tmp_path / "keys.npy"))


def test_keys_are_mapped_not_read(tmp_path):
    keys = open_keys(write(tmp_path / "keys.npy", np.ones((3, 2), np.float32)))
    assert isinstance(keys, np.memmap)


def encode(out, function, *, made_from="a", stop=None, num_rows=35):
    return encode_keys(
        function,
        num_rows,
        2,
        out,
        made_from={"records": made_from},
        chunk_rows=10,
        reporter=SILENT,
        stop=stop or StopRequest(),
    )


def numbered(start, stop):
    return np.stack([np.arange(start, stop)] * 2, axis=1)


def test_encoding_goes_on_after_the_last_whole_chunk(tmp_path):
    stop, asked = StopRequest(), []

    def stopping(start, end):
        asked.append(start)
        stop.signal_number = 2 if len(asked) == 2 else None
        return numbered(start, end)

    with pytest.raises(Interrupted, match="20 of 35 rows are kept"):
        encode(tmp_path / "keys", stopping, stop=stop)
    assert not (tmp_path / "keys").exists()
    path = encode(tmp_path / "keys", stopping)
    assert asked == [0, 10, 20, 30]
    np.testing.assert_array_equal(open_keys(path), numbered(0, 35))
    artifacts.verify(tmp_path / "keys", kind="keys")
    encode(tmp_path / "keys", lambda *_: pytest.fail("encoded again"))


def test_what_other_records_began_is_thrown_away(tmp_path):
    stop = StopRequest(signal_number=2)
    with pytest.raises(Interrupted):
        encode(tmp_path / "keys", numbered, stop=stop)
    path = encode(tmp_path / "keys", lambda a, b: numbered(a, b) + 1, made_from="b")
    np.testing.assert_array_equal(open_keys(path), numbered(0, 35) + 1)
    path = encode(tmp_path / "keys", numbered, made_from="b", num_rows=12)
    np.testing.assert_array_equal(open_keys(path), numbered(0, 12))


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda a, b: np.ones((b - a, 3)), "expected"),
        (lambda a, b: np.where(numbered(a, b) == 14, np.nan, 0.0), "row 14"),
    ],
)
def test_an_encoder_that_errs_is_stopped(tmp_path, function, message):
    with pytest.raises(DataError, match=message):
        encode(tmp_path / "keys", function)
