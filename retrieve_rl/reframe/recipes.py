"""What each bundled data set is made of: which policies act, in which order, for how long.

The three kinds follow D4RL (Fu et al. 2020): `medium` is one half-trained policy, `medium-replay`
what the replay buffer held on the way to it, `expert` a trained policy. The data is not D4RL's.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from difflib import get_close_matches

from retrieve_rl.errors import UsageError
from retrieve_rl.reframe import behavior

# Raise it with any change that changes the arrays of a bundled data set.
RECIPE_VERSION = 1

# Data is made with reset seeds from here up, evaluation uses those below.
FIRST_RESET_SEED = 1_000_000
_SEEDS_PER_RECIPE = 1_000_000
_SEEDS_PER_STAGE = 50_000

_ENV_IDS = {"hopper": "Hopper-v5", "walker2d": "Walker2d-v5"}
_KINDS = ("medium", "medium-replay", "expert")


@dataclass(frozen=True)
class Stage:
    """One policy acting for whole episodes until it has made `steps` or `episodes`.

    Attributes:
      policy: a name that `behavior.load_policy` knows.
      steps: transitions to reach, 0 for no such goal.
      episodes: episodes to reach, 0 for no such goal.
    """

    policy: str
    steps: int = 0
    episodes: int = 0


@dataclass(frozen=True)
class Recipe:
    """How a bundled data set is made.

    Attributes:
      dataset_id: "rrl/hopper/medium-v0"; also the name of its random streams.
      robot: "hopper" or "walker2d".
      env_id: Gymnasium's id.
      stages: in the order of the data set.
      mean_return: the band in which the mean return per episode must lie.
    """

    dataset_id: str
    robot: str
    env_id: str
    stages: tuple[Stage, ...]
    mean_return: tuple[float, float] = (float("-inf"), float("inf"))

    @property
    def name(self) -> str:
        """Recipe id and version; what results record."""
        return f"{self.dataset_id}@{RECIPE_VERSION}"

    @property
    def policies(self) -> tuple[str, ...]:
        return tuple(stage.policy for stage in self.stages)

    def resized(self, *, steps: int = 0, episodes: int = 0) -> "Recipe":
        """The same recipe with other goals for every stage and no band for the mean return."""
        stages = tuple(Stage(stage.policy, steps, episodes) for stage in self.stages)
        return dataclasses.replace(self, stages=stages, mean_return=(float("-inf"), float("inf")))


def bundled_ids() -> tuple[str, ...]:
    """Ids of all bundled data sets."""
    return tuple(
        f"rrl/{robot}/{kind}{short}-v0"
        for short in ("", "-short")
        for robot in _ENV_IDS
        for kind in _KINDS
    )


def find_recipe(name: str) -> Recipe:
    """The recipe of a bundled data set.

    Args:
      name: "rrl/hopper/medium-v0", or short "hopper/medium" or "hopper-medium".

    Raises:
      UsageError: no bundled data set has this name.
    """
    spellings = {}
    for dataset_id in bundled_ids():
        short = dataset_id.removeprefix("rrl/").removesuffix("-v0")
        for spelling in (dataset_id, short, short.replace("/", "-"), f"{short}-v0", f"rrl/{short}"):
            spellings[spelling] = dataset_id
    if name not in spellings:
        near = get_close_matches(name, spellings, n=1)
        hint = f"; did you mean {spellings[near[0]]}" if near else ""
        raise UsageError(
            f"no bundled data set is called '{name}'{hint}; there are: {', '.join(bundled_ids())}"
        )
    return _build(spellings[name])


def reset_seed(recipe: Recipe, stage: int, episode: int) -> int:
    """The seed `env.reset` gets: unique per episode, at least FIRST_RESET_SEED, below 2**31."""
    if not 0 <= episode < _SEEDS_PER_STAGE:
        raise ValueError(f"episode {episode} of a stage, at most {_SEEDS_PER_STAGE}")
    block = _stream(recipe.dataset_id) % 2000
    return FIRST_RESET_SEED + block * _SEEDS_PER_RECIPE + stage * _SEEDS_PER_STAGE + episode


def action_seed(recipe: Recipe, stage: int, episode: int) -> tuple[int, int, int]:
    """Entropy of the SeedSequence of an episode's actions."""
    return (_stream(recipe.dataset_id), stage, episode)


def _stream(dataset_id: str) -> int:
    return int.from_bytes(hashlib.sha256(dataset_id.encode()).digest()[:8], "big")


def _build(dataset_id: str) -> Recipe:
    _, robot, kind = dataset_id.removesuffix("-v0").split("/")
    short = kind.endswith("-short")
    kind = kind.removesuffix("-short")
    if kind == "expert":
        stages: tuple[Stage, ...] = (Stage("expert", episodes=40 if short else 200),)
    elif kind == "medium":
        stages = (Stage("medium", steps=50_000 if short else 1_000_000),)
    else:
        stages = _replay_stages(robot, 50_000 if short else 400_000)
    return Recipe(dataset_id, robot, _ENV_IDS[robot], stages, _MEAN_RETURNS[robot, kind])


def _replay_stages(robot: str, steps: int) -> tuple[Stage, ...]:
    """Equal shares of the transitions: random actions, then every snapshot, oldest first."""
    policies = ["random", *(f"ladder-{n}" for n in range(behavior.ladder_length(robot)))]
    share = -(-steps // len(policies))
    return tuple(Stage(policy, steps=share) for policy in policies)


# Around the measured means (1323, 197, 3215; 3011, 401, 4189): at least four standard errors of the
# short sets, so that another processor's rounding stays inside, and narrow enough to notice a wrong
# policy, environment or reward.
_MEAN_RETURNS = {
    ("hopper", "medium"): (1150.0, 1550.0),
    ("hopper", "medium-replay"): (120.0, 300.0),
    ("hopper", "expert"): (2800.0, 3600.0),
    ("walker2d", "medium"): (2500.0, 3500.0),
    ("walker2d", "medium-replay"): (200.0, 700.0),
    ("walker2d", "expert"): (3300.0, 5000.0),
}
