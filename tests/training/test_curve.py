"""The learning curve is cut back to the step that training resumes from."""

import pytest

from retrieve_rl.training.curve import FILE_NAME, forget_after, log_metrics


@pytest.mark.parametrize("step, kept", [(0, 0), (3, 1), (5, 1), (6, 2), (99, 3)])
def test_what_came_after_the_step_is_dropped(tmp_path, step, kept):
    for logged in (3, 6, 9):
        log_metrics(tmp_path, logged, {"loss": logged / 7})
    log = tmp_path / FILE_NAME
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines) + '{"step": 2, "lo')  # cut short by a kill
    forget_after(tmp_path, step)
    assert log.read_text() == "".join(lines[:kept])


def test_a_run_that_logged_nothing_has_no_curve(tmp_path):
    forget_after(tmp_path, 0)
    assert not list(tmp_path.iterdir())


def test_a_metric_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(ValueError):
        log_metrics(tmp_path, 1, {"loss": float("nan")})
