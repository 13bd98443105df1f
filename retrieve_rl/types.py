"""The array type of signatures.

Letters in shapes: B batch, T time, K neighbors, N rows, S steps, D key width, O observation,
A action, H features, L tokens.
"""

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    # The same functions take host arrays (NumPy) and device arrays (JAX); a static checker sees
    # two unrelated types.
    Array = Any
else:
    Array = jax.Array | np.ndarray
