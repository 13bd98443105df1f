"""The learning curve is cut back to the step that training resumes from."""

import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.training import spent
from retrieve_rl.training.curve import FILE_NAME, forget_after, log_metrics, read_metrics


@pytest.mark.parametrize("step, kept", [(0, 0), (3, 1), (5, 1), (6, 2), (99, 3)])
def test_what_came_after_the_step_is_dropped(tmp_path, step, kept):
    for logged in (3, 6, 9):
        log_metrics(tmp_path, logged, {"loss": logged / 7})
    log = tmp_path / FILE_NAME
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines) + '{"step": 2, "lo')  # cut short by a kill
    forget_after(tmp_path, step)
    assert log.read_text() == "".join(lines[:kept])


def test_a_line_that_is_not_even_text_is_dropped(tmp_path):
    log_metrics(tmp_path, 3, {"loss": 1.0})
    log = tmp_path / FILE_NAME
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"step": \xff\xfe}\n')
    with pytest.raises(DataError, match=FILE_NAME):
        read_metrics(tmp_path)
    forget_after(tmp_path, 9)
    assert log.read_bytes() == whole and read_metrics(tmp_path) == [{"step": 3, "loss": 1.0}]


@pytest.mark.parametrize("line", ['{"step": 2, "sec', '{"step": 2, "seconds": 1.0}', "[]"])
def test_what_a_training_took_is_not_read_from_a_damaged_log(tmp_path, line):
    (tmp_path / spent.FILE_NAME).write_text(line + "\n")
    with pytest.raises(DataError, match=spent.FILE_NAME):
        spent.spent(tmp_path)


def test_a_run_that_logged_nothing_has_no_curve(tmp_path):
    forget_after(tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_a_metric_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError):
        log_metrics(tmp_path, 1, {"loss": float("nan")})
