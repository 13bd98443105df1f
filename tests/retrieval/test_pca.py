"""Principal components against the singular values of the whole matrix."""

import numpy as np
import pytest

from retrieve_rl.errors import DataError
from retrieve_rl.retrieval.pca import fit_pca, project


def features(rng, rows=500):
    return rng.normal(size=(rows, 6)) * [5, 3, 1, 0.5, 0.2, 0.1] + 40.0


def test_chunks_give_what_the_whole_matrix_gives(rng):
    whole = features(rng)
    pca = fit_pca(np.array_split(whole.astype(np.float32), 7), 3)
    centered = whole - whole.mean(axis=0)
    _, singular, directions = np.linalg.svd(centered, full_matrices=False)
    np.testing.assert_allclose(pca.mean, whole.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(pca.explained, (singular**2 / np.sum(singular**2))[:3], rtol=1e-4)
    np.testing.assert_allclose(
        np.abs(project(pca, whole)), np.abs(centered @ directions[:3].T), rtol=1e-2, atol=2e-3
    )


def test_all_components_keep_every_distance(rng):
    whole = features(rng).astype(np.float32)
    pca = fit_pca([whole], 6)
    np.testing.assert_allclose(pca.explained.sum(), 1.0, rtol=1e-6)
    projected = project(pca, whole)
    before = np.sum((whole[0] - whole[1:9]) ** 2, axis=1)
    np.testing.assert_allclose(np.sum((projected[0] - projected[1:9]) ** 2, axis=1), before, 1e-3)


def test_the_signs_have_one_answer(rng):
    whole = features(rng)
    one, other = fit_pca([whole], 4), fit_pca([whole[::-1]], 4)
    np.testing.assert_allclose(one.components, other.components, atol=1e-4)
    assert np.all(one.components[np.argmax(np.abs(one.components), axis=0), range(4)] > 0)


def test_far_from_the_origin_the_variance_is_still_seen(rng):
    shifted = (features(rng) + 1e5).astype(np.float64)
    np.testing.assert_allclose(
        fit_pca([shifted], 2).explained, fit_pca([shifted - 1e5], 2).explained, rtol=1e-4
    )


@pytest.mark.parametrize(
    "chunks, dim, message",
    [
        ([], 2, "no rows"),
        ([np.zeros((0, 3))], 2, "no rows"),
        ([np.ones((4, 3))], 4, "4 components asked of features of width 3"),
        ([np.ones((4, 3))], 0, "0 components"),
    ],
)
def test_fits_that_cannot_be(chunks, dim, message):
    with pytest.raises(DataError, match=message):
        fit_pca(chunks, dim)
