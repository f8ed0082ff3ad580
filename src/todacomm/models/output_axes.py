"""Find which axis of an output holds rows, which channels, and which positions are real; ask where it is ambiguous.

An output is (b, channels) or has further axes of tokens, pixels or frames. Position alone decides nothing that can be
read in two ways: network widths, layer types and the shape of the batch decide, or else the caller.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from todacomm.core.errors import InvalidInput
from todacomm.core.types import Mask

WIDTHS = (
    "out_features",
    "out_channels",
    "num_features",
    "num_channels",
    "embedding_dim",
    "nf",
    "d_model",
    "hidden_size",
)
CHANNELS_FIRST = (
    "Conv",
    "BatchNorm",
    "InstanceNorm",
    "GroupNorm",
    "MaxPool",
    "AvgPool",
    "LPPool",
    "Upsample",
    "PixelShuffle",
)
CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding, nn.MultiheadAttention)
PADDING, NO_MASK = "padding_mask", "none"  # entries whose names end so are true where there is padding, as in PyTorch
CROSS = ("EncDecAttention", "encoder_attn", "crossattention", "cross_attn", "multihead_attn")
OF_MEMORY = ("k", "v", "key", "value", "k_proj", "v_proj", "keys", "values")


# Channels


def channel_axis(site: str, module: nn.Module, network: nn.Module, shape: Sequence[int]) -> int:
    """The axis of the channels of an output of three or more axes; InvalidInput where it may be 1 or the last."""
    last = len(shape) - 1
    own = kind_of(module)
    if own == "first" or (own == "last" and shape[last] in widths_of(module)):
        return 1 if own == "first" else last
    if len(shape) == 3 and not any(kind_of(m) == "first" for m in network.modules()):
        return last  # tokens: the network has nothing else
    for widths in (widths_of(network), widths_of(module)):
        ends = {axis for axis in (1, last) if shape[axis] in widths}
        if len(ends) == 1:
            return ends.pop()
    kinds = {kind for m in module.modules() if (kind := kind_of(m))}
    if len(kinds) == 1 and shape[1] != shape[last]:
        return 1 if kinds == {"first"} else last
    raise InvalidInput(
        f"{site} gives shape {tuple(shape)}, of which axis 1 or axis {last} may be the channels; "
        f"say which with channels=1 or channels=-1 (or channels={{'{site}': 1}})"
    )


def kind_of(module: nn.Module) -> str:
    """Where a layer of PyTorch puts channels, ``first`` or ``last``; empty for others and for containers."""
    if type(module) in CHANNELS_LAST or type(module).__name__ in ("RMSNorm", "Conv1D"):  # of transformers: a Linear
        return "last"
    ours = type(module).__module__.startswith("torch.nn")
    return "first" if ours and any(name in type(module).__name__ for name in CHANNELS_FIRST) else ""


def widths_of(module: nn.Module) -> set[int]:
    """The numbers of channels that the inner layers output."""
    found = {value for m in module.modules() for name in WIDTHS if isinstance(value := getattr(m, name, None), int)}
    shapes = (getattr(m, "normalized_shape", ()) for m in module.modules())
    return found | {shape[-1] for shape in shapes if shape}


def given_axis(site: str, channels: "int | Mapping[str, int] | None", shape: Sequence[int]) -> int | None:
    """The axis that the caller named for a site, if any."""
    axis = channels.get(site) if isinstance(channels, Mapping) else channels
    if axis is None:
        return None
    if isinstance(axis, bool) or not isinstance(axis, int) or not -len(shape) < axis < len(shape) or axis == 0:
        raise InvalidInput(
            f"channels={axis!r}: {site} gives shape {tuple(shape)}, whose axes are 1 to {len(shape) - 1}, or -1"
        )
    return axis % len(shape)


# Rows


@dataclass(frozen=True, slots=True)
class Layout:
    """The number of rows of a batch (None without a tensor), and whether some layers take tokens before rows."""

    rows: int | None
    tokens_first: bool = False


def tokens_first(network: nn.Module) -> list[nn.Module]:
    """The layers that take (t, b, d): attention and recurrent layers of PyTorch unless ``batch_first``."""
    return [m for m in network.modules() if getattr(m, "batch_first", None) is False]


def layout_of(leading: tuple[int, ...], seen: Sequence[tuple[int, ...]]) -> Layout:
    """The layout of a batch, from the shape of its first tensor and the shapes that entered `tokens_first` layers."""
    entered = {shape[:2] for shape in seen if len(shape) == 3}
    if not leading or not entered:
        return Layout(leading[0] if leading else None)
    given = leading[:2]
    rows_first = all(b == given[0] for _, b in entered)
    rows_second = len(given) == 2 and given in entered and all(b == given[1] for _, b in entered)
    if rows_first and rows_second:
        raise InvalidInput(
            f"a batch of {given[0]} × {given[1]}, of which the rows may be either: the network has layers with "
            "batch_first=False. Give batches with more or fewer texts than tokens, or build it with batch_first=True"
        )
    return Layout(given[1] if rows_second else given[0], tokens_first=True)


def rows_first(site: str, hidden: np.ndarray, layout: Layout) -> np.ndarray:
    """The output with its rows on axis 0; InvalidInput where no axis fits the batch."""
    rows, shape = layout.rows, hidden.shape
    if rows is None:
        return hidden
    second = layout.tokens_first and hidden.ndim == 3 and shape[1] == rows
    if second and shape[0] == rows:
        raise InvalidInput(
            f"{site} gives shape {shape} for a batch of {rows}, of which either axis may be the rows: the network has "
            "layers with batch_first=False. Give batches with more or fewer texts than tokens"
        )
    if second:
        return hidden.swapaxes(0, 1)
    if shape[0] != rows:
        raise InvalidInput(
            f"{site} gives {shape[0]} rows (shape {shape}) for a batch of {rows}: it flattens tokens, picks some, or "
            "adds a batch of its own. Choose a module that gives one row for each of the batch"
        )
    return hidden


# Positions


def real_positions(site: str, shape: tuple[int, int], batch: Any, network: nn.Module, mask: str | None) -> Mask:
    """The positions (b, t) of an output that count; all without a mask. ``mask`` names an entry of the batch."""
    everything = np.ones(shape, dtype=bool)
    if mask == NO_MASK or (mask is None and not isinstance(batch, Mapping)):
        return everything
    if mask is not None:
        return fitting(site, shape, {mask: named(mask, batch)})
    known = masks_of(batch, side_of(site), two_sided=two_sided(batch, network))
    return fitting(site, shape, known) if any(not found.all() for found in known.values()) else everything


def fitting(site: str, shape: tuple[int, int], known: Mapping[str, Mask]) -> Mask:
    """The one mask of an output; InvalidInput where none has its shape, or several that differ do."""
    fit = {name: found for name, found in known.items() if found.shape == shape}
    different = {found.tobytes() for found in fit.values()}
    if len(different) == 1:
        return next(iter(fit.values()))
    listed = " and ".join(f"{name} {found.shape}" for name, found in known.items())
    problem = "more than one may be its mask" if fit else "none is its mask"
    raise InvalidInput(
        f"{site} gives {shape[1]} positions for each of {shape[0]} rows; the batch has {listed}: {problem}. Say which "
        f"entry of the batch is, with mask='attention_mask' (or mask={{'{site}': …}}), or mask='{NO_MASK}' to count "
        "every position"
    )


def named(name: str, batch: Any) -> Mask:
    """The mask that the caller named."""
    found = batch.get(name) if isinstance(batch, Mapping) else None
    if found is None:
        there = ", ".join(map(str, batch)) if isinstance(batch, Mapping) else "no names"
        raise InvalidInput(
            f"mask='{name}': the batch has no such entry. It has: {there}. mask='{NO_MASK}' counts every position"
        )
    return as_mask(name, found)


def masks_of(batch: Mapping[str, Any], side: str, *, two_sided: bool) -> dict[str, Mask]:
    """The masks that may belong to a site: those of its side, encoder or decoder, or all where the side is unknown.

    A side without a mask has all of its tokens.
    """
    found = dict(entries(batch, side if two_sided else ""))
    ids = batch.get("decoder_input_ids")
    if two_sided and side != "encoder" and not any(of_decoder(name) for name in found) and isinstance(ids, Tensor):
        found["decoder_input_ids"] = np.ones(tuple(ids.shape), dtype=bool)
    return found


def entries(batch: Mapping[str, Any], side: str) -> Iterator[tuple[str, Mask]]:
    """The entries of a batch that are masks, of one side where it is given."""
    for name, value in batch.items():
        is_mask = name in ("attention_mask", "decoder_attention_mask") or str(name).endswith(PADDING)
        if is_mask and value is not None and side in ("", "decoder" if of_decoder(name) else "encoder"):
            yield name, as_mask(name, value)


def as_mask(name: str, value: Any) -> Mask:
    """Convert a mask to true where a position is real."""
    found = value.detach().cpu().float().numpy() if isinstance(value, Tensor) else np.asarray(value, dtype=np.float32)
    if found.ndim != 2 or not np.isin(found, (0, 1)).all():
        raise InvalidInput(
            f"{name} has shape {found.shape}{'' if found.ndim != 2 else ' and other values than 0 and 1'}; expected "
            f"(rows, positions) of 0 and 1. Name another entry with mask=, or mask='{NO_MASK}' to count every position"
        )
    return found == 0 if name.endswith(PADDING) else found == 1


def of_decoder(name: str) -> bool:
    """Whether an entry of a batch belongs to the decoder."""
    return name.startswith(("decoder", "tgt"))


def two_sided(batch: Mapping[str, Any], network: nn.Module) -> bool:
    """Whether the network has an encoder and a decoder with separate tokens."""
    return bool(getattr(getattr(network, "config", None), "is_encoder_decoder", False)) or any(map(of_decoder, batch))


def side_of(site: str) -> str:
    """Guess ``encoder`` or ``decoder`` from the path of a site; empty where ambiguous, as in cross-attention."""
    parts = site.split(".")
    if parts[-1] in OF_MEMORY and any(part in CROSS for part in parts):
        return ""
    return next((side for side in ("decoder", "encoder") if any(side in part for part in parts)), "")


def leading_shape(network: nn.Module, batch: Any) -> tuple[int, ...]:
    """The shape of the main input of a batch: the one that the network names, else the first tensor."""
    if isinstance(batch, Mapping):
        main = batch.get(getattr(network, "main_input_name", ""))
        given = [main, *batch.values()]
    else:
        given = [batch] if isinstance(batch, Tensor) else list(batch)
    shapes = (tuple(value.shape) for value in given if isinstance(value, torch.Tensor) and value.ndim)
    return next(shapes, ())
