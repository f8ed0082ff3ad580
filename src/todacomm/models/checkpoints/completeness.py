"""Check that a checkpoint has exactly the weights of its network: none missing, misshapen or left over."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from todacomm.core.errors import ModelUnavailable
from todacomm.models.architecture.blocks_and_norms import number_of_blocks
from todacomm.models.names import ModelSource

NOT_IN_STREAM = ("pooler", "contact_head")  # parts of a base model that no hidden state passes through
BUFFERS = (
    "inv_freq",
    r"\w*mask",
    "masked_bias",
    r"attn\.bias",
    r"attention\.bias",
    "position_ids",
    "cos_cached",
    "sin_cached",
)


def check_complete(source: ModelSource, network: Any, report: Mapping[str, Any]) -> bool:
    """Whether the checkpoint has the head of the network; ``report`` is transformers' report of loading it.

    Raises `ModelUnavailable` where a tensor of the base is missing or of another shape than configured, and where one
    of a block was not read.
    """
    what = f"{source.name}: the weights at {source.location}"
    if mismatched := sorted(report["mismatched_keys"]):
        name, there, wanted = mismatched[0][:3]
        raise ModelUnavailable(
            f"{what} have {len(mismatched)} tensors of another shape than config.json gives (the first is {name}: "
            f"{_by(there)} in the weights, {_by(wanted)} by the configuration); one of the two is of another model"
        )
    if unread := sorted(filter(_in_a_block(network), report["unexpected_keys"])):
        raise ModelUnavailable(
            f"{what} have {len(unread)} tensors in their blocks that {type(network).__name__} does not read (the first "
            f"is {unread[0]}): the configuration is of another model, or an adapter was not merged"
        )
    prefix = f"{network.base_model_prefix}."
    missing = sorted(report["missing_keys"])
    needed = [k for k in missing if k.startswith(prefix) and k.removeprefix(prefix).split(".")[0] not in NOT_IN_STREAM]
    if needed:
        raise ModelUnavailable(
            f"{what} lack {len(needed)} of the tensors of {type(network).__name__} (the first is {needed[0]}): "
            "the checkpoint is incomplete or of another model"
        )
    return not any(not key.startswith(prefix) for key in missing)


def _by(shape: Any) -> str:
    return "×".join(map(str, shape))


def _in_a_block(network: Any) -> Callable[[str], bool]:
    """Return a test for names of tensors in a block, present or further."""
    depth = number_of_blocks(network)
    lists = [path for path, m in network.named_modules() if isinstance(m, nn.ModuleList) and len(m) == depth]
    ends = "|".join(re.escape(path.removeprefix(f"{network.base_model_prefix}.")) for path in lists)
    found = re.compile(rf"(?:^|\.)(?:{ends})\.\d+\.(?!(?:.*\.)?(?:{'|'.join(BUFFERS)})$)")
    return lambda name: bool(lists and found.search(name))
