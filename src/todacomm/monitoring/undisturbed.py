"""Run a network that is in training without leaving a trace: no gradients, modes and buffers put back, random states
and the caches of autocast and of compiled code untouched.
"""

import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import nn

SEED = 20260  # of every probe pass, so that steps are paired where a network draws in evaluation


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Let a network run in evaluation, without gradients; when the block ends, all is as it was before it."""
    with ExitStack() as kept, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as of checkpointing, which finds no gradients
        for one in (torch.no_grad(), own_randomness(), autocast_cache_kept(), without_compiled_code(), slow_path()):
            kept.enter_context(one)
        kept.enter_context(buffers_kept(network))
        kept.enter_context(in_evaluation(network))
        yield


@contextmanager
def own_randomness(seed: int = SEED) -> Iterator[None]:
    """Seed every global generator for the block, and put its state back: Python, NumPy, torch on each device."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the training may draw from it
    with torch_randomness():
        try:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            torch.default_generator.manual_seed(seed)
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002


@contextmanager
def torch_randomness() -> Iterator[None]:
    """Put the states of torch's generators back: of the CPU, and of each device that is in use."""
    in_use = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = list(range(torch.cuda.device_count())) if in_use else []
    of_mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            if of_mps is not None:
                torch.mps.set_rng_state(of_mps)


@contextmanager
def in_evaluation(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, module by module: no ``eval()`` of a user's own runs, as one that merges adapters."""
    training = [module for module in network.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def buffers_kept(network: nn.Module) -> Iterator[None]:
    """Put back every buffer that the block changes, replaces or adds."""
    held = [(module, dict(module.named_buffers(recurse=False))) for module in network.modules()]
    copies = [{name: buffer.clone() for name, buffer in own.items()} for _, own in held]
    try:
        yield
    finally:
        for (module, own), copied in zip(held, copies, strict=True):
            put_back(module, own, copied)


def put_back(module: nn.Module, own: dict[str, torch.Tensor], copies: dict[str, torch.Tensor]) -> None:
    """Give a module its buffers as they were; one that is unchanged is not written to."""
    for name, now in list(module.named_buffers(recurse=False)):
        if name not in own:
            delattr(module, name)
        elif now is not own[name]:
            setattr(module, name, own[name])
    for name, buffer in own.items():
        if not torch.equal(buffer, copies[name]):
            buffer.copy_(copies[name])


@contextmanager
def autocast_cache_kept() -> Iterator[None]:
    """Neither read nor fill the cache of autocast: weights that are cast here carry no gradients."""
    enabled = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(enabled)


@contextmanager
def without_compiled_code() -> Iterator[None]:
    """Run what `torch.compile` wraps as it was written: hooks see nothing of compiled code, nor is it compiled anew."""
    if "torch._dynamo" not in sys.modules or not hasattr(torch.compiler, "set_stance"):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def slow_path() -> Iterator[None]:
    """Let `torch.nn.TransformerEncoderLayer` call its parts in evaluation too, so that their hooks run."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)
