"""Fetch one checkpoint, tell whether two are the same model, and take a hub revision off the disk again."""

import hashlib
from pathlib import Path

from todacomm.models.checkpoints import base_and_adapter, checkpoint_files
from todacomm.models.checkpoints.base_and_adapter import OF_A_TOKENIZER, Parts, parts_of
from todacomm.models.names import ModelSource
from todacomm.runs.cache.keys import checkpoint_of
from todacomm.runs.cache.store import Cache, digest_of
from todacomm.runs.jobs import release

OF_LIBRARIES = ("transformers_version",)  # of a configuration: says nothing of what the model computes


def fetched(source: ModelSource) -> Parts:
    """Fetch the weights of a model that lies on the hub. Raises ModelUnavailable."""
    with checkpoint_files.quietly(), checkpoint_files.explained(source):
        parts = parts_of(source, fetch=True)
        if source.directory is None and (first := checkpoint_files.first_file(parts.base, fetch=True)) is not None:
            names = [path.name for path in checkpoint_files.shards_of(first)] if first.suffix == ".json" else []
            for name in names:
                checkpoint_files.file_of(parts.base, name, fetch=True)
    return parts


def weights_of(source: ModelSource, parts: Parts, cache: Cache | None) -> str:
    """The SHA-256 of the weights of a model whose files are here; empty where there are none."""
    if cache is not None and (known := checkpoint_of(source, cache)) is not None:
        return known.weights_sha256
    return base_and_adapter.weights_sha256(parts, checkpoint_files.only_gguf(parts.base))


def identity_of(weights: str, parts: Parts) -> str:
    """A digest that two models share where they compute the same: of weights, configuration and tokenizer."""
    if not weights:
        return ""
    config = checkpoint_files.file_of(parts.base, "config.json")
    told = checkpoint_files.object_of(config, parts.base.name) if config else {}
    kept = {key: value for key, value in told.items() if not key.startswith("_") and key not in OF_LIBRARIES}
    words = checkpoint_files.directory_of(parts.tokenizer)
    files = [words / name for name in OF_A_TOKENIZER] if words else []
    tokenizer = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()}
    return digest_of({"weights": weights, "config": kept, "tokenizer": tokenizer})


def discarded(source: ModelSource) -> None:
    """Take the files of one revision of a hub model off the disk; blobs that other revisions share stay."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    commit = checkpoint_files.commit(source)
    try:
        found = scan_cache_dir()
    except CacheNotFound:
        return
    release()  # the weights are mapped into memory
    hashes = {
        one.commit_hash
        for repo in found.repos
        if repo.repo_id == source.location and repo.repo_type == "model"
        for one in repo.revisions
        if one.commit_hash == commit or source.revision in one.refs
    }
    if hashes:
        found.delete_revisions(*sorted(hashes)).execute()


def on_disk(source: ModelSource) -> bool:
    """Whether anything of a model lies on this machine."""
    path: Path | None = checkpoint_files.directory_of(source)
    return path is not None
