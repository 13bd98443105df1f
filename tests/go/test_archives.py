"""Texts out of files and archives; what is hostile is refused, whatever else is cut into games."""

import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieve_rl.errors import DataError
from retrieve_rl.go import archives
from retrieve_rl.go.archives import cut_games, game_texts, record_files
from retrieve_rl.go.sgf import MAX_TEXT_BYTES

ONE, TWO, THREE = b"(;SZ[9];B[aa])", b"(;SZ[9]C[:) \\] (;];B[bb](;W[cc])(;W[dd]))", b"( ;GM[1]\n)"


def split(data):
    return list(cut_games(io.BytesIO(data)))


def tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def texts(path):
    return [tuple(text) for text in game_texts(path)]


def refused(path, words):
    with pytest.raises(DataError, match=words) as caught:
        list(game_texts(path))
    assert path.name in str(caught.value)


class Trickle(io.BytesIO):
    """Gives a few bytes at a time."""

    def read(self, size=-1):
        return super().read(7)


def test_collections_are_cut_into_games():
    assert split(ONE + b"\njunk ) ]\n" + TWO + THREE) == [ONE, TWO, THREE]
    assert split(b"") == split(b"nothing (here)") == []
    assert list(cut_games(Trickle(ONE + b" \n " + TWO + THREE))) == [ONE, TWO, THREE]


def test_a_game_without_end_does_not_swallow_the_next():
    broken = b"(;SZ[9];B[aa]\n"
    assert split(broken + b"(;GM[1]SZ[9];B[bb])") == [broken, b"(;GM[1]SZ[9];B[bb])"]
    assert split(ONE + b"(;SZ[9]C[") == [ONE, b"(;SZ[9]C["]


@pytest.mark.parametrize("filler", [b";B[aa];W[bb]", b"C[x\\]]", b"(;B[aa])"])
def test_a_huge_game_is_cut_and_the_next_one_read(filler):
    huge = b"(;SZ[9]" + filler * (3_000_000 // len(filler)) + b")"
    cut, after = split(huge + ONE)
    assert len(cut) == MAX_TEXT_BYTES + 1 and huge.startswith(cut) and after == ONE


@pytest.mark.parametrize("filler", [b"x", b"\\]", b"\\\\", b"(;SZ["])
def test_a_huge_value_is_passed_over(filler):
    start = b"(;C[" + filler * (3_000_000 // len(filler))
    cut, after = split(start + b"])" + ONE)
    assert len(cut) == MAX_TEXT_BYTES + 1 and after == ONE
    (unfinished,) = split(start)
    assert len(unfinished) == MAX_TEXT_BYTES + 1


@settings(max_examples=200, deadline=200)
@given(st.lists(st.sampled_from(list(b"(;)[]\\ BSZaG9")), max_size=80).map(bytes))
def test_cuts_do_not_depend_on_how_the_stream_is_read(data):
    assert list(cut_games(Trickle(data))) == split(data)


def test_files_folders_and_archives_give_the_same_games(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "all.sgf").write_bytes(ONE + TWO)
    (tmp_path / "a.sgf.gz").write_bytes(gzip.compress(ONE + b"\n" + TWO))
    tar(tmp_path / "c.tar.gz", [("x/1.sgf", ONE), ("x/LICENSE", THREE), ("x/2.SGF", TWO)])
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.sgf", ONE)
        archive.writestr("readme.txt", THREE)
        archive.writestr("2.sgf", TWO)
    (tmp_path / "notes.txt").write_bytes(THREE)
    expected = [
        (name, entry, text)
        for name in ("a.sgf.gz", "b/all.sgf", "c.tar.gz", "d.zip")
        for entry, text in enumerate((ONE, TWO))
    ]
    assert texts(tmp_path) == expected
    assert texts(tmp_path / "d.zip") == [("d.zip", 0, ONE), ("d.zip", 1, TWO)]


def test_nothing_to_read_is_said(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for path, words in (
        (tmp_path / "absent", "does not exist"),
        (tmp_path, "no game records"),
        (tmp_path / "notes.txt", "no game records"),
    ):
        with pytest.raises(DataError, match=words):
            record_files(path)


@pytest.mark.parametrize(
    "name", ["../x.sgf", "/etc/x.sgf", "a/../../x.sgf", "..\\x.sgf", "C:\\x.sgf"]
)
def test_paths_out_of_an_archive_are_refused(tmp_path, name):
    refused(tar(tmp_path / "a.tar.gz", [("ok.sgf", ONE), (name, ONE)]), "path out of the archive")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, ONE)
    refused(tmp_path / "a.zip", "path out of the archive")


def test_links_and_devices_are_refused(tmp_path):
    for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)):
        info = tarfile.TarInfo("a.sgf")
        info.type, info.linkname = kind, "/etc/passwd"
        refused(tar(tmp_path / f"{number}.tar.gz", [(info, b"")]), "no plain file")
    link = zipfile.ZipInfo("a.sgf")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    refused(tmp_path / "a.zip", "link")


def test_sparse_files_are_refused(tmp_path):
    info = tarfile.TarInfo("a.sgf")
    info.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**15)}
    refused(tar(tmp_path / "a.tar.gz", [(info, b"")]), "no plain file")


def test_bombs_are_refused(tmp_path):
    bomb = b" " * 30_000_000
    (tmp_path / "a.sgf.gz").write_bytes(gzip.compress(bomb))
    refused(tmp_path / "a.sgf.gz", "more than 100 times")
    refused(tar(tmp_path / "a.tar.gz", [("a.sgf", bomb)]), "more than 100 times")
    # What is not read as a game counts as well.
    refused(tar(tmp_path / "b.tar.gz", [("a.txt", bomb)]), "more than 100 times")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.sgf", bomb)
    refused(tmp_path / "a.zip", "more than 100 times")


def test_members_and_bytes_are_capped(tmp_path, monkeypatch):
    path = tar(tmp_path / "a.tar.gz", [(f"{number}.sgf", ONE) for number in range(4)])
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    refused(path, "more than 3 members")
    monkeypatch.setattr(archives, "MAX_BYTES", 100)
    refused(path, "more than 100 bytes")


def test_damage_is_reported(tmp_path):
    whole = tar(tmp_path / "a.tar.gz", [(f"{n}.sgf", bytes(range(256)) * 9) for n in range(9)])
    data = whole.read_bytes()
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.sgf", bytes(range(256)) * 9)
    for name, content in (
        ("cut.tar.gz", data[: len(data) // 2]),
        ("flip.tar.gz", data[:40] + bytes([data[40] ^ 255]) + data[41:]),
        ("text.tar.gz", ONE * 100),
        ("text.sgf.gz", ONE),
        ("cut.sgf.gz", gzip.compress(ONE)[:-6]),
        ("cut.zip", zipped.read_bytes()[:-30]),
        ("flip.zip", zipped.read_bytes()[:60] + b"\xff\xff\xff" + zipped.read_bytes()[63:]),
        ("empty.zip", b""),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "cannot be read")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255), st.booleans())
def test_no_flipped_byte_ends_in_anything_but_a_data_error(tmp_path_factory, place, flip, cut):
    folder = tmp_path_factory.mktemp("flipped")
    tar(folder / "a.tar.gz", [("1.sgf", ONE * 20), ("2.sgf", TWO)])
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.sgf", ONE * 20)
    for path in list(folder.iterdir()):
        data = bytearray(path.read_bytes())
        data[place % len(data)] ^= flip
        path.write_bytes(data[: place % len(data)] if cut else data)
        try:
            list(game_texts(path))
        except DataError:
            pass
