"""What grows from round to round is told, and only that."""

from soak import Held, grown, per_round, soak


def test_a_leak_is_told_and_a_step_is_not():
    leaking = [Held(1000 + 200 * i, 5000, 9000, 8 + i, 4, 0) for i in range(20)]
    assert round(per_round(leaking, "allocated_kib")) == 200
    told = " ".join(grown(leaking))
    assert "allocated_kib grew by 200.0" in told and "descriptors" in told
    assert "threads" not in told and "resident" not in told
    assert grown([Held(1000, 5000, 9000 + 2000 * (i > 10), 8, 4, 0) for i in range(20)]) == []


def test_one_round_is_enough(tmp_path):
    (held,) = soak(tmp_path / "work", seconds=0, commands=())
    assert 0 < held.allocated_kib and 0 < held.resident_kib and held.descriptors > 2
