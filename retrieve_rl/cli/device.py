"""What must be settled before JAX computes anything."""

import gc
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from retrieve_rl.errors import MissingDependencyError

if TYPE_CHECKING:
    from retrieve_rl.cli.options import Device

_OBJECTS_BEFORE_COLLECTION = 10_000


def prepare(device: "Device", devices: int = 1) -> None:
    """Chooses JAX's platform, makes the next start quick, hushes Gymnasium.

    Args:
      devices: how many a training is to use; of a processor, that many are made of its cores.

    Raises:
      MissingDependencyError: `gpu` was asked for and there is none, or fewer devices are there.
    """
    # Nearly all that is imported and traced stays: looking for garbage as often as Python does by
    # default only takes time.
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTION)
    import gymnasium
    import jax

    if device == "cpu":
        jax.config.update("jax_platforms", "cpu")
        if devices > 1:
            jax.config.update("jax_num_cpu_devices", devices)
    elif device == "gpu":
        _require_gpu()
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(_compilation_cache()))
        # By default JAX keeps none that takes less than a second: of 132, that is all but 24.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if devices > jax.device_count():
        raise MissingDependencyError(
            f"--devices {devices}: JAX finds {jax.device_count()} ({jax.devices()[0].platform});"
            " ask for fewer, or for --device cpu, whose cores make as many as are asked for"
        )
    # D4RL's data belongs to the -v4 environments, which Gymnasium calls out of date.
    gymnasium.logger.min_level = gymnasium.logger.ERROR


def likely_platform(device: "Device") -> str:
    """Where `prepare` would settle, "cpu" or "gpu", as far as it is known without starting JAX."""
    if device != "auto":
        return device
    asked = os.environ.get("JAX_PLATFORMS", "").partition(",")[0]
    with_cuda = any(find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))
    return "cpu" if asked == "cpu" or not with_cuda else "gpu"


def _require_gpu() -> None:
    import jax

    try:
        jax.devices("gpu")
    except RuntimeError as error:
        raise MissingDependencyError(
            f"--device gpu: JAX finds no GPU ({error}); install retrieve-rl[cuda] on a machine with"
            " one, or use --device cpu"
        ) from None


def _compilation_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "rrl" / "jax"
