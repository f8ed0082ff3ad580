"""Train the four small models that ship with todacomm: {post-LN, pre-LN} x {bidirectional, causal}.

    python -m todacomm.zoo.train wt2_valid.txt --cell preln-decoder --seed 1 --output models/preln-decoder-1

Other texts, sizes, and the model at several steps of its training, each as a directory ``checkpoint-STEP``::

    python -m todacomm.zoo.train a.jsonl --one-form --width 48 --checkpoints 0,100,600 --cell … --seed 1 --output …

The four cells share width, depth, rotary positions, LayerNorm, GELU, biases, tokenizer, data, optimiser and token
budget. They differ in the place of the norm (RoFormer: post-LN; ESM: pre-LN), in the direction of attention
(``is_decoder``), and, tied to these, in the objective and in where embedding and final norms stand: see MODEL_CARD.md.
"""

import argparse
import copy
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    EsmConfig,
    EsmForMaskedLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RoFormerConfig,
    RoFormerForCausalLM,
    RoFormerForMaskedLM,
)

CELLS = ("postln-encoder", "postln-decoder", "preln-encoder", "preln-decoder")
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
PAD, START, END, UNKNOWN, MASK = range(len(SPECIALS))
IGNORED = -100  # the label that cross_entropy passes over
LOGGED_EVERY = 100  # steps

Form = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides a run besides the text and the cell."""

    seed: int
    steps: int = 3200
    rows: int = 16
    window: int = 128
    width: int = 128
    blocks: int = 6
    heads: int = 4
    vocabulary: int = 4096
    learning_rate: float = 1e-3
    warm_up: int = 200
    weight_decay: float = 0.1
    dropout: float = 0.1
    masked_share: float = 0.3


def untokenised(line: str) -> str:
    """A line of WikiText as one would write it: ``film , television`` becomes ``film, television``."""
    line = re.sub(r" @([-,.])@ ", r"\1", line)
    line = re.sub(r" ([,.;:!?%)\]}])", r"\1", line)
    line = re.sub(r"([(\[{$]) ", r"\1", line)
    line = re.sub(r" (n't|'s|'re|'ve|'ll|'d|'m)\b", r"\1", line)
    line = re.sub(r'" ([^"]*) "', r'"\1"', line)
    return re.sub(r" ' ([^']*) '", r" '\1'", line)


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not blank, stripped; of a ``.jsonl``, what stands under "text", as it is."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [json.loads(line)["text"] for line in lines] if path.suffix == ".jsonl" else lines


def train_tokenizer(lines: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE that writes ``<s> text </s>``, the same for encoders and decoders."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIALS), initial_alphabet=alphabet, show_progress=False
    )
    plain = (line.replace("<unk>", "") for line in lines)
    tokenizer.train_from_iterator(plain, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", START), ("</s>", END)]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=512,
    )


def build(cell: str, plan: Plan) -> PreTrainedModel:
    """An untrained model of the cell; its weights depend on ``plan.seed`` alone."""
    torch.manual_seed(plan.seed)
    place, kind = cell.split("-")
    decoder = kind == "decoder"
    shared: dict[str, Any] = {
        "vocab_size": plan.vocabulary,
        "hidden_size": plan.width,
        "num_hidden_layers": plan.blocks,
        "num_attention_heads": plan.heads,
        "intermediate_size": 4 * plan.width,
        "hidden_dropout_prob": plan.dropout,
        "attention_probs_dropout_prob": 0.0,
        "max_position_embeddings": 512,
        "layer_norm_eps": 1e-12,
        "is_decoder": decoder,
        "use_cache": False,
        "pad_token_id": PAD,
        "bos_token_id": START,
        "eos_token_id": END,
        "tie_word_embeddings": True,
    }
    if place == "postln":
        config = RoFormerConfig(embedding_size=plan.width, type_vocab_size=1, **shared)
        return RoFormerForCausalLM(config) if decoder else RoFormerForMaskedLM(config)
    return EsmForMaskedLM(
        EsmConfig(
            position_embedding_type="rotary",
            token_dropout=False,
            emb_layer_norm_before=False,
            mask_token_id=MASK,
            **shared,
        )
    )


WIKITEXT: tuple[Form, ...] = (str, untokenised)
"""A line as WikiText writes it or as one would: the bundled test split has the first form, other text the second."""


def windows(
    lines: list[str], tokenizer: PreTrainedTokenizerFast, plan: Plan, forms: Sequence[Form] = WIKITEXT
) -> Iterator[torch.Tensor]:
    """Endless (rows, window) batches of token ids; every epoch shuffles the lines and draws each line's form anew."""
    ids = [tokenizer([form(line) for line in lines]).input_ids for form in forms]
    generator = torch.Generator().manual_seed(plan.seed)
    size = plan.rows * plan.window
    left: list[int] = []
    while True:
        coins = torch.randint(len(ids), (len(lines),), generator=generator).tolist()
        for i in torch.randperm(len(lines), generator=generator).tolist():
            left += ids[coins[i]][i]
            while len(left) >= size:
                yield torch.tensor(left[:size]).view(plan.rows, plan.window)
                left = left[size:]


def masked(ids: torch.Tensor, plan: Plan, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and labels of the masked objective: of the chosen tokens 80 % masked, 10 % random, 10 % left."""
    chosen = (torch.rand(ids.shape, generator=generator) < plan.masked_share) & (ids >= len(SPECIALS))
    fate = torch.rand(ids.shape, generator=generator)
    random = torch.randint(len(SPECIALS), plan.vocabulary, ids.shape, generator=generator)
    inputs = torch.where(chosen & (fate < 0.8), MASK, ids)
    inputs = torch.where(chosen & (fate >= 0.9), random, inputs)
    return inputs, torch.where(chosen, ids, IGNORED)


def shifted(ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and labels of the next-token objective; ``<unk>`` of the training file is never a target."""
    labels = torch.full_like(ids, IGNORED)
    labels[:, :-1] = ids[:, 1:]
    return ids, labels.masked_fill((labels == UNKNOWN) | (labels == START), IGNORED)


def loss_of(model: PreTrainedModel, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats; the head is applied to the labelled positions alone."""
    hidden = model.base_model(input_ids=inputs).last_hidden_state
    head = model.cls if isinstance(model, RoFormerForCausalLM | RoFormerForMaskedLM) else model.lm_head
    kept = labels != IGNORED
    return F.cross_entropy(head(hidden[kept]).float(), labels[kept])


def optimiser_of(model: PreTrainedModel, plan: Plan) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices alone."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)


def train(model: PreTrainedModel, batches: Iterator[torch.Tensor], plan: Plan) -> Iterator[float]:
    """Train in place; yields the training loss (nats) of each step."""
    optimiser = optimiser_of(model, plan)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / plan.warm_up, max(0.02, 1 - s / plan.steps))
    )
    generator = torch.Generator().manual_seed(plan.seed + 10_000)
    model.train()
    for _ in range(plan.steps):
        ids = next(batches)
        inputs, labels = shifted(ids) if model.config.is_decoder else masked(ids, plan, generator)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, inputs, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        schedule.step()
        yield loss.item()


def means(losses: Iterator[float], plan: Plan, also: AbstractSet[int]) -> Iterator[dict[str, float]]:
    """Steps with the mean loss since the last, every hundred steps and at the end; steps ``also`` asked for, alone."""
    since: list[float] = []
    for step, loss in enumerate(losses, 1):
        since.append(loss)
        if step % LOGGED_EVERY == 0 or step == plan.steps:
            yield {"step": step, "loss": round(sum(since) / len(since), 4)}
            since.clear()
        elif step in also:
            yield {"step": step}


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, directory: Path) -> None:
    """Write a copy of the model in half precision, and its tokenizer."""
    copy.deepcopy(model).half().save_pretrained(directory)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(directory)


def parsed(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; each field of `Plan` is an option."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path, help="the training text: one paragraph a line, or .jsonl with a text a line")
    parser.add_argument("--cell", choices=CELLS, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--one-form", action="store_true", help="do not undo the tokenisation of WikiText half the time"
    )
    steps = "steps at which the model is kept as checkpoint-STEP, such as 0,100,200"
    parser.add_argument(
        "--checkpoints", type=lambda given: frozenset(map(int, given.split(","))), default=(), help=steps
    )
    parser.add_argument("--threads", type=int, default=1)
    for field in fields(Plan):
        kind = float if field.type is float else int
        given = {"required": True} if field.name == "seed" else {"default": field.default}
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, **given)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Train one cell with one seed and write model, checkpoints, tokenizer and log into the output directory."""
    given = parsed(arguments)
    torch.set_num_threads(given.threads)
    plan = Plan(**{field.name: getattr(given, field.name) for field in fields(Plan)})
    forms: tuple[Form, ...] = (str,) if given.one_form else WIKITEXT
    lines = read_lines(given.text)
    tokenizer = train_tokenizer([form(line) for line in lines for form in forms], plan.vocabulary)
    model = build(given.cell, plan)
    given.output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    if 0 in given.checkpoints:
        save(model, tokenizer, given.output / "checkpoint-0")
    with (given.output / "training_log.jsonl").open("w", encoding="utf-8") as log:
        log.write(json.dumps({"cell": given.cell, "parameters": model.num_parameters(), **asdict(plan)}) + "\n")
        for row in means(train(model, windows(lines, tokenizer, plan, forms), plan), plan, given.checkpoints):
            if "loss" in row:
                line = json.dumps(row | {"seconds": round(time.perf_counter() - start)})
                log.write(line + "\n")
                log.flush()
                print(line, flush=True)  # noqa: T201 - a script's progress
            if row["step"] in given.checkpoints:
                save(model, tokenizer, given.output / f"checkpoint-{row['step']:.0f}")
    save(model, tokenizer, given.output)


if __name__ == "__main__":
    main(sys.argv[1:])
