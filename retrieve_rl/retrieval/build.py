"""Building a memory, and adding rows to one."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from retrieve_rl import artifacts
from retrieve_rl.errors import DataError, UsageError
from retrieve_rl.progress import SILENT, Reporter
from retrieve_rl.retrieval import resources
from retrieve_rl.retrieval.index import Choice, Kind, choose
from retrieve_rl.retrieval.memory import Memory, open_memory
from retrieve_rl.retrieval.memory_files import KIND, Parent, report_of, write_memory
from retrieve_rl.retrieval.pieces import digest_of
from retrieve_rl.retrieval.quality import RECALL_AT, milliseconds_per_query
from retrieve_rl.retrieval.rows import Rows, bytes_beside_keys, check, digests_beside_keys
from retrieve_rl.retrieval.scann_config import Reorder
from retrieve_rl.retrieval.scann_index import ScannIndex
from retrieve_rl.retrieval.shard_builds import ShardBuilds
from retrieve_rl.retrieval.tuning import searched_like, tune
from retrieve_rl.signals import UNASKED, StopRequest

Report = dict[str, Any]


@dataclass(frozen=True)
class IndexOptions:
    """How an index is built.

    Attributes:
      kind: exact or scann; None chooses by the number of keys and by what is installed.
      wanted_recall: recall@10 for which a ScaNN index is tuned.
      reorder: how ScaNN keeps the keys it scores its best candidates with.
      shard_rows: rows of a shard, at most; None: all make one. Every query pays for every shard.
      max_memory: bytes the build may take; None: what the machine has free.
    """

    kind: Kind | None = None
    wanted_recall: float = 0.95
    reorder: Reorder = "bfloat16"
    shard_rows: int | None = None
    max_memory: float | None = None


DEFAULT_OPTIONS = IndexOptions()


def build_memory(
    rows: Rows,
    out: Path | str,
    options: IndexOptions = DEFAULT_OPTIONS,
    *,
    reporter: Reporter = SILENT,
    stop: StopRequest = UNASKED,
    force: bool = False,
) -> Report:
    """Builds the memory of `rows` at `out` and returns the report in its manifest.

    A build that was broken off goes on after its last whole shard; one that is finished, of the
    same rows and options, is not done again.

    Raises:
      DataError: the keys are no finite float32 matrix, or values or groups do not fit to them.
      ResourceError: memory or disk will not suffice.
      UsageError: something else lies at `out`: an index, and `force` is not set, or none.
      ValueError: `options.shard_rows` < 1.
      Interrupted: a signal asked to stop; the shards so far are kept.
    """
    check(rows)
    if options.shard_rows is not None and options.shard_rows < 1:
        raise ValueError(f"shard_rows must be at least 1, found {options.shard_rows}")
    out = Path(out)
    choice = choose(len(rows.keys), options.kind)
    reporter.say(f"{choice.kind} index: {choice.reason}")
    need = _need(rows, choice, options)
    reporter.say(f"it will take {need}")
    beside = {**digests_beside_keys(rows), "options": _digest_of(options)}
    work = out.with_name(f".{out.name}.shards")
    with artifacts.lock(out):
        if out.exists() and force:
            _check_is_index(out, "--force replaces an index")
        elif out.exists():
            return _finished(out, work, {**beside, "keys": digest_of(rows.keys)})
        resources.check(need, out, options.max_memory, written=resources.bytes_in(work))
        began = time.perf_counter()
        builds = ShardBuilds(work, choice.kind, options.reorder, options.shard_rows)
        built = builds.run(rows, reporter, stop)
        finished = time.perf_counter()
        index = built.index
        if choice.kind == "scann":
            reporter.say(f"tuning for recall {options.wanted_recall:g}")
            index = tune(index, built.test, options.wanted_recall, stop)
        report = {
            **built.test.report(index),
            "kind": choice.kind,
            "reason": choice.reason,
            "wanted_recall": options.wanted_recall,
            "num_keys": index.num_keys,
            "dim": index.dim,
            "num_shards": len(index.shards),
        }
        timings = {
            "build_seconds": finished - began,
            "tune_seconds": time.perf_counter() - finished,
            "milliseconds_per_query": milliseconds_per_query(index, built.test.queries, RECALL_AT),
        }
        made_from = {**beside, "keys": built.keys_digest}
        write_memory(out, rows, index, built.folders, report, timings, made_from)
        artifacts.remove(work, of=out)
        return {**report, **timings}


def add_to_memory(
    parent: Path | str,
    rows: Rows,
    out: Path | str,
    *,
    made_from: Mapping[str, str] | None = None,
    max_memory: float | None = None,
    reporter: Reporter = SILENT,
    stop: StopRequest = UNASKED,
) -> Report:
    """Writes a version of the memory at `parent` that also holds `rows`; returns its report.

    The old rows keep their numbers, the new ones follow. Nothing old is built again or copied: both
    versions own the same files, and `parent` stays as it is. The new rows make shards of their own,
    searched as deeply as the old ones; where that finds too few, tuned for the parent's wanted
    recall. The report is still the parent's where it does not say `added`, but for the numbers of
    keys and shards and the milliseconds of a query. New rows without halves are in neither half of
    a memory that has two.

    Work that is done is not done again, and goes on where it was broken off.

    Args:
      made_from: name -> digest of what the rows come from, for the manifest.
      max_memory: as in `IndexOptions`.

    Raises:
      DataError: as `build_memory`, or width, columns or groups are not those of the parent.
      ResourceError: memory or disk will not suffice.
      UsageError: something else lies at `out`, or it is inside of the parent.
    """
    check(rows)
    parent, out = Path(parent), Path(out)
    if parent.resolve() in out.resolve().parents:
        raise UsageError(
            f"{out} is inside of {parent}, whose files are listed: choose another --out"
        )
    memory = open_memory(parent)
    _check_fits(memory, rows)
    beside = {**(made_from or {}), **digests_beside_keys(rows), "parent": memory.manifest.digest}
    work = out.with_name(f".{out.name}.shards")
    choice = choose(len(rows.keys))
    reporter.say(f"{choice.kind} shard for the new rows: {choice.reason}")
    options = IndexOptions(reorder=_reorder_of(memory))
    need = _need(rows, choice, options)
    reporter.say(f"it will take {need}, beside the memory that it grows from")
    with artifacts.lock(out):
        if out.exists():
            return _finished(out, work, {**beside, "keys": digest_of(rows.keys)})
        resources.check(need, out, max_memory, written=resources.bytes_in(work))
        began = time.perf_counter()
        first_row = memory.index.num_keys
        builds = ShardBuilds(work, choice.kind, options.reorder, options.shard_rows, first_row)
        built = builds.run(rows, reporter, stop)
        wanted = memory.manifest.metadata["report"]["wanted_recall"]
        alone = searched_like(memory.index, built.index.shifted(-first_row))
        if choice.kind == "scann" and built.test.recall(alone)[0] < wanted:
            reporter.say(f"tuning for recall {wanted:g}")
            alone = tune(alone, built.test, wanted, stop)
        added = alone.shifted(first_row)
        index = replace(memory.index, shards=(*memory.index.shards, *added.shards))
        report = {
            **memory.manifest.metadata["report"],
            "num_keys": index.num_keys,
            "num_shards": len(index.shards),
            "added_rows": len(rows.keys),
            "added_kind": choice.kind,
            "added_recall_at_10": built.test.recall(alone)[0],
        }
        timings = {
            **memory.manifest.metadata.get("timings", {}),
            "add_seconds": time.perf_counter() - began,
            "milliseconds_per_query": milliseconds_per_query(index, built.test.queries, RECALL_AT),
        }
        made = {**beside, "keys": built.keys_digest}
        version = Parent(parent, memory.manifest)
        write_memory(out, rows, index, built.folders, report, timings, made, version)
        artifacts.remove(work, of=out)
        return {**report, **timings}


def plan(rows: Rows, options: IndexOptions) -> dict[str, Any]:
    """What `build_memory` would build, and what it would take; reads no key."""
    check(rows)
    choice = choose(len(rows.keys), options.kind)
    need = _need(rows, choice, options)
    return {
        "kind": choice.kind,
        "reason": choice.reason,
        "num_keys": len(rows.keys),
        "dim": rows.keys.shape[1],
        "memory_gib": need.memory / resources.GIB,
        "disk_gib": need.disk / resources.GIB,
    }


def descends_from(manifest: artifacts.Manifest, digest: str) -> bool:
    """Whether a memory is, or has grown from, the one whose manifest has this digest."""
    return digest in (manifest.digest, *manifest.metadata["ancestors"])


def _need(rows: Rows, choice: Choice, options: IndexOptions) -> resources.Need:
    return resources.need_of(
        len(rows.keys),
        rows.keys.shape[1],
        choice.kind,
        options.reorder,
        value_bytes=bytes_beside_keys(rows),
    )


def _reorder_of(memory: Memory) -> Reorder:
    """How the memory's ScaNN shards keep their keys; the default where it has none."""
    for shard in memory.index.shards:
        if isinstance(shard.index, ScannIndex):
            return shard.index.parameters.reorder
    return IndexOptions.reorder


def _digest_of(options: IndexOptions) -> str:
    facts = {name: value for name, value in vars(options).items() if name != "max_memory"}
    return hashlib.sha256(artifacts.to_json(facts).encode()).hexdigest()


def _check_is_index(out: Path, rule: str) -> None:
    """Raises UsageError where what lies at `out` was not written by `build_memory`."""
    try:
        artifacts.read_manifest(out, kind=KIND)
    except DataError as error:
        raise UsageError(f"{rule}, and {out} is none ({error}): choose another --out") from None


def _finished(out: Path, work: Path, made_from: dict[str, str]) -> Report:
    """The report of what lies at `out`; what a build that died then left is deleted."""
    _check_is_index(out, "what is there must be an index")
    manifest = artifacts.verify(out, kind=KIND)
    if manifest.made_from != made_from:
        raise UsageError(
            f"{out} holds an index of other rows or options: choose another --out, or replace it by"
            " --force (without --add)"
        )
    if work.exists():
        artifacts.remove(work, of=out)
    return report_of(manifest)


def _check_fits(memory: Memory, rows: Rows) -> None:
    if rows.keys.shape[1] != memory.index.dim:
        raise DataError(f"new keys have width {rows.keys.shape[1]}, the memory {memory.index.dim}")
    if set(rows.values) != set(memory.values):
        raise DataError(
            f"new values are {sorted(rows.values)}, the memory has {sorted(memory.values)}"
        )
    for name, column in memory.values.items():
        new, old = rows.values[name], column.segments[0]
        if new.dtype != old.dtype or new.shape[1:] != old.shape[1:]:
            raise DataError(
                f"new values {name!r} are {new.dtype} {new.shape[1:]}, the memory's {old.dtype}"
                f" {old.shape[1:]}"
            )
    if (rows.groups is None) != (memory.groups is None):
        raise DataError("give groups with the new rows exactly where the memory has them")
    if rows.second_half is not None and memory.index.shards[0].half is None:
        raise DataError("give halves with the new rows only where the memory has them")
