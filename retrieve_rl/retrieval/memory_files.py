"""How a memory lies on disk.

memory/
  MANIFEST.json
  shards/00000/index/   an index over some of the rows
  shards/00000/rows.npy the numbers of its rows, where they do not follow one another
  values/00000/         one npy file a column; a folder for every time rows were added
  groups/00000/
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError
from retrieve_rl.retrieval.exact import ExactIndex
from retrieve_rl.retrieval.rows import Rows
from retrieve_rl.retrieval.scann_config import ScannParameters
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.retrieval.sharded import Shard, ShardedIndex
from retrieve_rl.retrieval.values import Column, write_segment

KIND = "index"
ROWS_NAME = "rows.npy"
GROUPS = "groups"


def open_shard(
    folder: Path, facts: dict[str, Any], dim: int, groups: Column | None = None
) -> Shard:
    """A shard as its `facts` (see `describe_shard`) say; the caller has verified its files.

    An exact one can hide groups, where those of all rows are given.
    """
    rows: int | np.ndarray = facts["first_row"]
    if rows is None:
        rows = np.load(folder / ROWS_NAME, allow_pickle=False)
    if facts["kind"] == "exact":
        if groups is None:
            return Shard(ExactIndex.load(folder / "index"), rows, facts["half"])
        own = np.arange(rows, rows + facts["num_keys"]) if isinstance(rows, int) else rows
        # As places, for they fit into the 32 bits that jax has for a whole number.
        different, places = np.unique(groups.take(own).astype(np.int64), return_inverse=True)
        index = ExactIndex.load(folder / "index", places.astype(np.int32))
        return Shard(index, rows, facts["half"], different)
    scann = ScannIndex.load(
        folder / "index",
        ScannParameters.model_validate_json(artifacts.to_json(facts["parameters"])),
        facts["num_keys"],
        dim,
    )
    search = ("num_leaves_to_search", "reordering_num_neighbors")
    searched = scann.searching(**{name: facts[name] for name in search})
    return Shard(searched, rows, facts["half"])


def describe_shard(shard: Shard) -> dict[str, Any]:
    """What a manifest says of a shard."""
    facts: dict[str, Any] = {
        "kind": "exact",
        "num_keys": shard.index.num_keys,
        "first_row": shard.rows if isinstance(shard.rows, int) else None,
        "half": shard.half,
    }
    if isinstance(shard.index, ScannIndex):
        facts |= {
            "kind": "scann",
            "parameters": shard.index.parameters.model_dump(mode="json"),
            "num_leaves_to_search": shard.index.num_leaves_to_search,
            "reordering_num_neighbors": shard.index.reordering_num_neighbors,
        }
    return facts


def report_of(manifest: artifacts.Manifest) -> dict[str, Any]:
    """What was measured of a memory when it was built, seconds included."""
    return {**manifest.metadata["report"], **manifest.metadata.get("timings", {})}


class Parent(NamedTuple):
    """The version a memory grows from."""

    path: Path
    manifest: artifacts.Manifest


def write_memory(
    out: Path,
    rows: Rows,
    index: ShardedIndex,
    new_shards: list[Path],
    report: dict[str, Any],
    timings: dict[str, float],
    made_from: dict[str, str],
    parent: Parent | None = None,
) -> None:
    """Makes the artifact `out` of the parent's files, new shards, and the new rows' values.

    `index` is over all shards, the parent's first. Shards are linked, not copied. The report gets
    the bytes of the index, and goes into the manifest.

    Raises:
      DataError: another memory lies where the parent was.
    """
    old = parent.manifest.metadata if parent else None
    segment = old["num_segments"] if old else 0
    first = len(index.shards) - len(new_shards)
    facts = {
        "dim": index.dim,
        "shards": [describe_shard(shard) for shard in index.shards],
        "num_segments": segment + 1,
        "has_groups": rows.groups is not None,
        "ancestors": [*old["ancestors"], parent.manifest.digest] if old and parent else [],
        "report": report,
        "timings": timings,
    }
    linked: dict[str, Any] = {}
    created = artifacts.create(
        out, kind=KIND, made_from=made_from, metadata=facts, described=linked
    )
    with created as folder:
        if parent:
            linked |= artifacts.link_files(parent.path, parent.manifest, folder)
            if artifacts.read_manifest(parent.path).digest != parent.manifest.digest:
                raise DataError(f"{parent.path} was replaced while rows were added to it")
        for number, shard in enumerate(new_shards, start=first):
            manifest = artifacts.read_manifest(shard)
            linked |= artifacts.link_files(shard, manifest, folder, f"shards/{number:05d}")
        write_segment(folder / "values" / f"{segment:05d}", rows.values)
        if rows.groups is not None:
            groups = rows.groups.astype(np.int64)
            write_segment(folder / GROUPS / f"{segment:05d}", {GROUPS: groups})
        report["bytes"] = sum(
            entry["size"] for name, entry in linked.items() if name.startswith("shards/")
        )
        report["bytes_per_key"] = report["bytes"] / index.num_keys
