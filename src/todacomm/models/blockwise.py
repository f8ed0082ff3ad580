"""Run a forward pass block by block over thousands of tokens: Llama-like decoders in float32 on a CPU.

The products of a block run over the tokens of many batches without padding. Matrices with the same input are joined
(q, k and v; gate and up) and, with MKL, packed once for their products, which pays off over so many tokens; they are
released after each block. Attention takes the texts of one length together. All assumptions about a model are checked
against the model itself before use.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from todacomm.core.types import Mask, layer_key
from todacomm.models.architecture.blocks_and_norms import Anatomy
from todacomm.models.architecture.hooks import evaluating, hooked
from todacomm.models.batching import Batch, EncodedText

STRETCH = 16384  # tokens that pass one block before the next: packing it costs 3 to 4 % beside them
ATTENDED = 2048  # tokens in one attention call, about
ROWS = 1024  # of a product at a time, about
FEW = 0.5  # of the tokens: if fewer are pooled, the others skip the last block
FEWEST_ROWS = 128  # below, packing a matrix costs more than it saves
NEAR = 1e-4  # tolerance over the norm of a hidden state: float32 rounding is about 1e-6
PROBE = (5, 9)  # tokens of the two texts that check the pass
CAPTURING = "transformers.utils.output_capturing"  # hooks of transformers that only watch
STATIC = ("default", "linear", "llama3")  # rotary embeddings whose angles do not depend on the text's length
BLOCK = {"input_layernorm", "self_attn", "post_attention_layernorm", "mlp"}
ATTENTION = {"q_proj", "k_proj", "v_proj", "o_proj"}
MLP = {"gate_proj", "up_proj", "down_proj", "act_fn"}
BASE = {"embed_tokens", "layers", "norm", "rotary_emb"}

Step = Literal["begun", "laid out", "block", "seen", "final"]
Seen = Callable[[Batch, Tensor], None]
_CONFIRMED: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """A network that runs block by block: its base model and its attention heads.

    ``window`` is the length up to which each token sees all before it; None where there is no bound.
    """

    base: Any
    heads: int
    shared: int
    width: int
    window: int | None

    @property
    def depth(self) -> int:
        return len(self.base.layers)

    def steps(
        self,
        stretches: Iterable[Sequence[Batch]],
        seen: Mapping[str, Seen],
        needed: Callable[[Batch], Mask] | None = None,
    ) -> Iterator[Step]:
        """Run the batches of a stretch through one block after the other, yielding after each part of the work.

        ``seen[layer](batch, stream)`` gets the hidden states (m, d) of the real tokens of each batch, text by text,
        which change after the call. The pass ends at the deepest layer of ``seen``, where only the tokens that
        ``needed`` marks are right (None: all).
        """
        room = ReusedMemory()
        for batches in stretches:
            yield from self._seen(Stretch(self, batches, room, needed), batches, seen)

    def _seen(self, stretch: "Stretch", batches: Sequence[Batch], seen: Mapping[str, Seen]) -> Iterator[Step]:
        for layer, step in self._through(stretch, max(seen, key=layer_key)):
            if layer in seen:
                for batch, place in zip(batches, stretch.places, strict=True):
                    seen[layer](batch, stretch.hidden[place])
            yield step

    def steps_until(self, layer: str) -> int:
        """The number of steps to a layer."""
        if layer == "embedding":
            return 1
        return 2 + 3 * self.depth if layer == "final" else 1 + 3 * (1 + int(layer.removeprefix("layer_")))

    def bytes_for(self, tokens: int) -> int:
        """Bytes of a pass over so many tokens: the stream, its heads, one packed block, the MLP of one piece."""
        block, rows = self.base.layers[0], min(tokens, STRETCH) + ROWS
        heads = (2 * self.heads + 2 * self.shared) * self.width
        stream: int = self.base.embed_tokens.embedding_dim
        wide: int = block.mlp.gate_proj.out_features
        matrices: int = sum(p.numel() for p in block.parameters())
        return 4 * (rows * (2 * stream + heads) + 2 * matrices + min(rows, 3 * ROWS // 2) * (2 * wide + 3 * stream))

    def _through(self, stretch: "Stretch", last: str) -> Iterator[tuple[str, Step]]:
        yield "embedding", "begun"
        for i, block in enumerate([] if last == "embedding" else self.base.layers):
            laid = Block(self, block, stretch.rows)
            yield "", "laid out"
            deepest = last == f"layer_{i}" or i == self.depth - 1
            laid.apply(stretch, stretch.needed if deepest else None)
            del laid  # before the next is laid out
            yield "", "block"
            yield f"layer_{i}", "seen"
            if last == f"layer_{i}":
                return
        if last == "final":
            stretch.finish(self.base.norm)
            yield "final", "final"


def stretches_of(groups: Sequence[list[EncodedText]]) -> list[list[list[EncodedText]]]:
    """Group batches, in order, into stretches of at most STRETCH tokens, at least one batch each."""
    found: list[list[list[EncodedText]]] = []
    left = 0
    for group in groups:
        size = sum(map(len, group))
        if size > left or not found:
            found.append([])
            left = STRETCH
        found[-1].append(group)
        left -= size
    return found


@dataclass(frozen=True, slots=True)
class EqualLengths:
    """Consecutive texts of one length: their rows in the stretch, and (texts, length)."""

    rows: slice
    shape: tuple[int, int]

    def view(self, stretch: Float[Tensor, "rows c"]) -> Float[Tensor, "b t c"]:
        """View their rows text by text, without copying."""
        return stretch[self.rows].view(*self.shape, -1)


def _alike(lengths: Sequence[int]) -> list[EqualLengths]:
    """Group texts of these lengths, in order, by equal length, about ATTENDED tokens at a time."""
    found: list[EqualLengths] = []
    start = 0
    for length, texts in groupby(lengths):
        left, most = sum(1 for _ in texts), max(1, ATTENDED // length)
        while left:
            count = min(left, most)
            found.append(EqualLengths(slice(start, start + count * length), (count, length)))
            start, left = start + count * length, left - count
    return found


class ReusedMemory:
    """Memory reused by one stretch after the other, so that it does not grow with their number."""

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def of(self, name: str, rows: int, columns: int) -> Float[Tensor, "rows columns"]:
        """Return rows of the memory called ``name``, which may hold older values."""
        if name not in self._held or len(self._held[name]) < rows:
            most = max(rows, STRETCH + ROWS)  # pages that nobody writes take no memory
            self._held[name] = torch.empty(most, columns)
        return self._held[name][:rows]


class Stretch:
    """The tokens of some batches on their way through the blocks.

    ``hidden`` has a row for each real token, then rows of zeros, so that all products have ``rows`` rows.
    """

    def __init__(
        self,
        decoder: Decoder,
        batches: Sequence[Batch],
        room: ReusedMemory,
        needed: Callable[[Batch], Mask] | None = None,
    ) -> None:
        ends = np.cumsum([0, *(int(b.real.sum()) for b in batches)]).tolist()
        self.places = [slice(*between) for between in pairwise(ends)]  # the rows of each batch
        self.alike = _alike([length for b in batches for length in b.real.sum(axis=1).tolist()])
        self.needed: Int[Tensor, " m"] | None = None
        if needed is not None:
            found = np.concatenate([needed(b)[b.real] for b in batches])
            self.needed = torch.from_numpy(np.flatnonzero(found)) if found.mean() < FEW else None
        ids = torch.from_numpy(np.concatenate([b.ids[b.real] for b in batches]))
        pieces = max(1, round(len(ids) / ROWS))
        self.rows = 16 * -(-len(ids) // (16 * pieces))
        count = pieces * self.rows
        self.hidden = room.of("hidden", count, decoder.base.embed_tokens.embedding_dim)
        self.attended = room.of("attended", count, decoder.heads * decoder.width)
        self.projected = room.of("projected", count, (decoder.heads + 2 * decoder.shared) * decoder.width)
        for piece in self.pieces:
            if len(some := ids[piece]):
                self.hidden[piece][: len(some)] = decoder.base.embed_tokens(some)
        for rows in (self.hidden, self.attended):
            rows[len(ids) :] = 0
        positions = torch.arange(max(b.ids.shape[1] for b in batches))[None]
        cosine, sine = (
            angles[0, :, : decoder.width // 2] for angles in decoder.base.rotary_emb(self.hidden, positions)
        )
        self.turns: Complex[Tensor, "t 1 c"] = torch.complex(cosine, sine)[:, None]

    @property
    def pieces(self) -> list[slice]:
        """The rows of each product."""
        return [slice(start, start + self.rows) for start in range(0, len(self.hidden), self.rows)]

    def finish(self, norm: nn.Module) -> None:
        """Apply the final norm to the stream in place."""
        for piece in self.pieces:
            self.hidden[piece] = norm(self.hidden[piece])


class Product:
    """x → x·Wᵀ + b, with W packed once for so many rows if MKL is there."""

    def __init__(self, weight: Float[Tensor, "n k"], bias: Float[Tensor, " n"] | None, rows: int) -> None:
        self.weight, self.bias, self.rows = weight, bias, rows
        self.laid: Tensor | None = None
        if rows >= FEWEST_ROWS and lays_out():
            self.laid = torch.ops.mkl._mkl_reorder_linear_weight(weight.contiguous(), rows)  # noqa: SLF001

    def __call__(self, x: Float[Tensor, "rows k"]) -> Float[Tensor, "rows n"]:
        if self.laid is None or len(x) != self.rows:
            return functional.linear(x, self.weight, self.bias)
        found: Tensor = torch.ops.mkl._mkl_linear(x, self.laid, self.weight, self.bias, self.rows)  # noqa: SLF001
        return found


def lays_out() -> bool:
    """Whether this torch has MKL products of packed matrices."""
    there = (torch.backends.mkl.is_available(), torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return all(there) and hasattr(torch.ops.mkl, "_mkl_linear")


class Block:
    """One block with its matrices joined and packed."""

    def __init__(self, decoder: Decoder, block: Any, rows: int) -> None:
        attention, mlp = block.self_attn, block.mlp
        before, between = block.input_layernorm, block.post_attention_layernorm
        self.decoder, self.small = decoder, (before.variance_epsilon, between.variance_epsilon)
        self.act, self.scale = mlp.act_fn, getattr(attention, "scaling", None)
        turned = [_in_pairs(decoder, linear) for linear in (attention.q_proj, attention.k_proj)]
        self.project = _joined([*turned, _pair(attention.v_proj)], before, rows)
        self.out, self.down = (Product(*_pair(linear), rows) for linear in (attention.o_proj, mlp.down_proj))
        self.widen = _joined([_pair(mlp.gate_proj), _pair(mlp.up_proj)], between, rows)

    def apply(self, stretch: Stretch, rows: Int[Tensor, " m"] | None = None) -> None:
        """Apply the block to the stream in place, at least in these rows."""
        for piece in stretch.pieces:
            stretch.projected[piece] = self.project(_normed(stretch.hidden[piece], self.small[0]))
        for texts in stretch.alike:
            attended = self._attended(texts.view(stretch.projected), stretch.turns)
            stretch.attended[texts.rows].view(attended.shape).copy_(attended)
        if rows is not None:
            for some in torch.split(rows, stretch.rows):
                stretch.hidden[some] = self._add(stretch.hidden[some], stretch.attended[some])
            return
        for piece in stretch.pieces:
            self._add(stretch.hidden[piece], stretch.attended[piece])

    def _add(self, stream: Float[Tensor, "m d"], attended: Float[Tensor, "m c"]) -> Float[Tensor, "m d"]:
        """Add the outputs of attention and MLP to the stream in place."""
        stream += self.out(attended)
        gate, up = self.widen(_normed(stream, self.small[1])).chunk(2, dim=1)
        stream += self.down(self.act(gate).mul_(up))
        return stream

    def _attended(self, projected: Float[Tensor, "b t c"], turns: Complex[Tensor, "t 1 c"]) -> Float[Tensor, "b t h c"]:
        """Causal attention of texts of one length."""
        decoder = self.decoder
        split = projected.view(*projected.shape[:2], -1, decoder.width)
        turning = split[:, :, : decoder.heads + decoder.shared].view(*split.shape[:2], -1, decoder.width // 2, 2)
        torch.view_as_complex(turning).mul_(turns[: split.shape[1]])
        q, k, v = split.transpose(1, 2).split([decoder.heads, decoder.shared, decoder.shared], dim=1)  # type: ignore[no-untyped-call]
        several: dict[str, Any] = {"enable_gqa": True} if decoder.heads > decoder.shared else {}  # queries of each key
        found = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=self.scale, **several)
        return found.transpose(1, 2)


Linear = tuple[Float[Tensor, "n k"], Float[Tensor, " n"] | None]


def _pair(linear: nn.Linear) -> Linear:
    return linear.weight, linear.bias


def _in_pairs(decoder: Decoder, linear: nn.Linear) -> Linear:
    """Reorder the rows of each head so that the two coordinates of a rotation are adjacent."""
    order = torch.arange(linear.out_features).view(-1, 2, decoder.width // 2).transpose(1, 2).flatten()
    return linear.weight[order], None if linear.bias is None else linear.bias[order]


def _joined(linears: Sequence[Linear], norm: Any, rows: int) -> Product:
    """Join matrices with the same input into one product, times the weights of the norm before it."""
    biases = [torch.zeros(len(weight)) if bias is None else bias for weight, bias in linears]
    some = any(bias is not None for _, bias in linears)
    weight = torch.cat([weight for weight, _ in linears]).mul_(norm.weight)
    return Product(weight, torch.cat(biases) if some else None, rows)


def _normed(x: Float[Tensor, "m d"], small: float) -> Float[Tensor, "m d"]:
    """Each row over its root mean square."""
    squares: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True).square_()
    return x * squares.div_(x.shape[1]).add_(small).rsqrt_()


def decoder_of(anatomy: Anatomy, *, longest: int) -> Decoder | None:
    """Return the network to be run block by block, or None where that is not known to be right.

    None for other architectures, devices and precisions, for weights on disk, for modules with hooks or another forward
    than their class's (adapters, offloading), for longer texts, and where two short texts show a difference.
    """
    found = _recognised(anatomy)
    if found is None or _changed(anatomy.base) or (found.window is not None and longest > found.window):
        return None
    if anatomy.base not in _CONFIRMED:
        _CONFIRMED[anatomy.base] = _confirmed(found, anatomy)
    return found if _CONFIRMED[anatomy.base] else None


def _recognised(anatomy: Anatomy) -> Decoder | None:
    base: Any = anatomy.base
    children = dict(base.named_children())
    if not set(children) >= BASE or tuple(children["layers"]) != anatomy.blocks or base.norm is not anatomy.final_norm:
        return None
    if not all(map(_is_gated, anatomy.blocks)) or getattr(base.rotary_emb, "rope_type", "default") not in STATIC:
        return None
    if any(p.device.type != "cpu" or p.dtype != torch.float32 for p in base.parameters()):
        return None
    attention: Any = base.layers[0].self_attn
    width = getattr(attention, "head_dim", 0)
    projections = (attention.q_proj, attention.k_proj)
    if not width or any(linear.out_features % width for linear in projections):
        return None
    windows = [getattr(base.config, "sliding_window", None), getattr(attention, "sliding_window", None)]
    window = min((w for w in windows if isinstance(w, int)), default=None)
    heads, shared = (linear.out_features // width for linear in projections)
    return Decoder(base, heads, shared, width, window)


def _is_gated(block: Any) -> bool:
    """Whether a block is Llama-like by the names and types of its parts."""
    if set(dict(block.named_children())) != BLOCK:
        return False
    if not all(hasattr(norm, "variance_epsilon") for norm in (block.input_layernorm, block.post_attention_layernorm)):
        return False
    parts = dict(block.self_attn.named_children()) | dict(block.mlp.named_children())
    return set(parts) == ATTENTION | MLP and all(type(parts[n]) is nn.Linear for n in parts if n.endswith("_proj"))


def _changed(base: nn.Module) -> bool:
    """Whether modules have hooks or methods that this pass would miss; the hooks of transformers only watch."""
    hooks = (h for m in base.modules() for h in (*m._forward_hooks.values(), *m._forward_pre_hooks.values()))  # noqa: SLF001
    foreign = any(getattr(hook, "__module__", "") != CAPTURING for hook in hooks)
    return foreign or any("forward" in vars(m) for m in base.modules())


def _confirmed(decoder: Decoder, anatomy: Anatomy) -> bool:
    """Whether two short texts give the model's own stream after each block, within rounding."""
    batch = _probe(anatomy.base.get_input_embeddings().num_embeddings)  # type: ignore[operator]
    expected: dict[str, Tensor] = {}
    names = {block: f"layer_{i}" for i, block in enumerate(anatomy.blocks)} | {decoder.base.norm: "final"}
    keep = {
        module: lambda hidden, name=name: expected.__setitem__(name, hidden.clone()) for module, name in names.items()
    }
    ids, mask = (torch.from_numpy(a.astype(np.int64)) for a in (batch.ids, batch.real))
    real = torch.from_numpy(batch.real)
    found: dict[str, Tensor] = {}
    with evaluating(anatomy.base), suppress(RuntimeError, TypeError):  # wrong shapes; torch before 2.5
        with hooked({}, keep):
            decoder.base(input_ids=ids, attention_mask=mask, use_cache=False)
        seen = {layer: lambda _, stream, layer=layer: found.__setitem__(layer, stream.clone()) for layer in expected}
        for _ in decoder.steps([[batch]], seen):
            pass
    return len(found) == decoder.depth + 1 and all(_near(found[layer], expected[layer][real]) for layer in found)


def _probe(vocabulary: int) -> Batch:
    real = np.arange(max(PROBE)) < np.array(PROBE)[:, None]
    ids = np.where(real, np.arange(real.size).reshape(real.shape) % vocabulary, 0)
    return Batch((), ids, real, real)


def _near(found: Float[Tensor, "m d"], expected: Float[Tensor, "m d"]) -> bool:
    return bool(((found - expected).norm(dim=1) <= NEAR * expected.norm(dim=1)).all())
