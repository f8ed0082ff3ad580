"""A shipped model that is fine-tuned while a penalty pulls the tokens of one block together, from a known step on."""

import torch

import todacomm as td
from todacomm.models.checkpoints.loading import load_model
from todacomm.models.names import resolve

BLOCK, BEGINS, STEPS, EVERY, LENGTH, WEIGHT = 2, 60, 100, 10, 16, 10.0


def fine_tuned(directory, seed, *, collapse=True, alerts=("collapse",)):
    """Fine-tune a shipped model beside a monitor; return the monitor, closed."""
    model = load_model(resolve("tiny-preln-decoder"))
    network, seen = model.network.train(), []
    rows = tokens(model.tokenizer)
    hook = model.anatomy.blocks[BLOCK].register_forward_hook(lambda _, __, output: seen.append(hidden_in(output)))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-4)
    torch.manual_seed(seed)
    texts = td.texts("wikitext2", 60)
    with td.Monitor(
        network, texts, tokenizer=model.tokenizer, every=EVERY, budget=1.0, directory=directory, max_length=32
    ) as monitor:
        for alert in alerts:
            monitor.alert(alert)
        monitor.step(0)
        for step in range(1, STEPS + 1):
            batch = rows[torch.randint(0, len(rows), (16,))]
            seen.clear()
            scores = network(input_ids=batch).logits
            loss = torch.nn.functional.cross_entropy(scores[:, :-1].flatten(0, 1), batch[:, 1:].flatten())
            spread = together(seen[0]) if collapse and step > BEGINS else 0.0
            optimiser.zero_grad()
            (loss + WEIGHT * spread).backward()
            optimiser.step()
            monitor.step(step, loss=loss)
    hook.remove()
    return monitor


def tokens(tokenizer):
    """Rows of a fixed number of tokens."""
    rows = (tokenizer(text)["input_ids"] for text in td.texts("wikitext2", 400).items)
    return torch.tensor([row[:LENGTH] for row in rows if len(row) >= LENGTH])


def hidden_in(output):
    return output[0] if isinstance(output, tuple) else output


def together(hidden):
    """How far the tokens are from their mean, over their norm."""
    flat = hidden.flatten(0, 1)
    return flat.var(0).sum() / flat.square().sum(1).mean().detach()
