"""What `rrl build-index` left behind, opened; nothing is made."""

from dataclasses import dataclass
from pathlib import Path

from retrieve_rl.errors import DataError
from retrieve_rl.go.config import GoConfig
from retrieve_rl.go.data import GoData, open_data
from retrieve_rl.go.encoder import TrainedEncoder
from retrieve_rl.go.index import GoIndex, open_index
from retrieve_rl.go.train_encoder import open_encoder


@dataclass(frozen=True)
class Built:
    """The open artifacts of one config.

    Attributes:
      data: positions and games.
      encoder: from positions to features.
      index: from features to keys, and the search over those of the training games, and of the
        games that were added.
      added: the folder of the version, where games were added; see `versions`.
    """

    data: GoData
    encoder: TrainedEncoder
    index: GoIndex
    added: Path | None = None


def open_built(config: GoConfig, root: Path) -> Built:
    """Opens every artifact of a config after checking its bytes; writes nothing.

    Args:
      root: the directory of runs.

    Raises:
      DataError: one of them is missing, damaged or unfinished, or the records have changed.
    """
    data = open_data(config, root)
    try:
        encoder = open_encoder(config, data, root)
        return Built(data, encoder, open_index(config, encoder, root))
    except DataError as error:
        raise DataError(f"{error}; rrl build-index --force makes again what is missing") from None
