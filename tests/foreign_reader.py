"""A reader of runs, comparisons and trainings that was written from docs/format.md alone: it knows no todacomm.

As a program: ``foreign_reader.py KIND DIRECTORY`` prints what it read as JSON; KIND is run, experiment,
comparison or training.
"""

import hashlib
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open

CLOSE = 1e-6  # relative: sums of float32 lengths depend on their order
GROWTHS = {"expansion": "ratio", "scale_growth": "scale", "shape_growth": "shape"}


class Refused(ValueError):
    """What the page forbids to show, or what does not agree with the rest."""


def require(*, holds, where, told):
    if not holds:
        raise Refused(f"{where}: {told}")


def near(a, b, size=0.0):
    """Whether two numbers are one up to rounding; null equals null alone."""
    return a is b if a is None or b is None else abs(a - b) <= CLOSE * max(abs(a), abs(b), size, 1e-12)


def parsed(text):
    """JSON, which has neither NaN nor infinity."""
    found = json.loads(text)
    json.dumps(found, allow_nan=False)
    return found


# ---- what holds for every record


def record(path, schema=1):
    """A JSON record of a known schema, unchanged where it has a seal."""
    found = parsed(path.read_text(encoding="utf-8"))
    require(holds=found.get("schema") == schema, where=path, told=f"schema {found.get('schema')}")
    if "seal" in found:
        plain = {key: value for key, value in found.items() if key != "seal"}
        digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
        require(holds=digest == found["seal"], where=path, told="another seal")
    return found


def arrays(path, schema=1):
    """The arrays of a file by name."""
    with safe_open(path, framework="numpy") as file:
        told = parsed((file.metadata() or {})["todacomm"])
        require(holds=told.get("schema") == schema, where=path, told=f"schema {told.get('schema')}")
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def check_files(directory, files):
    """Hold files to the digests that a manifest, or the end of a training run, has of them."""
    for name, expected in files.items():
        found = hashlib.sha256((directory / name).read_bytes()).hexdigest()
        require(holds=found == expected, where=directory / name, told="another SHA-256")


def of_shape(found, name, kind, *shape):
    """An array of a type and shape, where None is any size."""
    array = found[name]
    fits = array.ndim == len(shape) and all(n in {None, m} for n, m in zip(shape, array.shape, strict=True))
    require(holds=fits and array.dtype.kind == np.dtype(kind).kind, where=name, told=f"{array.dtype} {array.shape}")
    return array


# ---- a run


def numbers_of(bars, k):
    """The numbers of one diagram, and whether each is in the unit of the distances."""
    births, lengths = bars[:, 0], bars[:, 1] - bars[:, 0]
    total, m = lengths.sum(), len(bars)
    shares = lengths / total if m else lengths
    found = {
        "count": (m, 0),
        "total_persistence": (total, 1),
        "max_lifetime": (lengths.max(initial=0), 1),
        "mean_lifetime": (lengths.mean() if m else None, 1),
        "persistence_norm": (math.sqrt((lengths**2).sum()), 1),
        "entropy": (-(shares * np.log(shares)).sum() if m > 1 else 0, 0),
    }
    if k:
        ratios = np.log(bars[:, 1] / births)
        found |= {
            "birth_of_longest": (births[lengths.argmax()] if m else None, 1),
            "death_birth_ratio": (math.exp(ratios.max()) if m else None, 0),
            "prominence": (prominence(ratios), 0),
        }
    return found | ({"screen": (screen(ratios), 0)} if k == 1 else {})


def prominence(ratios):
    among = np.sort(np.append(ratios, np.full(20, math.log(1.01))))
    return ratios.max() / among[len(among) - 1 - len(among) // 10] if len(ratios) else 0


def screen(ratios):
    m = len(ratios)
    if m < 3:
        return None
    counted = np.maximum(ratios, 0.001)
    usual = np.euler_gamma + 0.94 + 0.30 * math.log(math.log(m))
    return counted.max() / math.exp(np.log(counted).mean()) / math.exp(usual)


def check_layer(row, bars, divided, where):
    """Hold the numbers of a layer to its bars, which are sorted and of no length zero."""
    median = row["scale"] and row["scale"] / unit_of(row, divided)
    require(holds=row["schema"] == 1, where=where, told=f"schema {row['schema']}")
    for k, found in bars.items():
        births, deaths = found[:, 0], found[:, 1]
        require(holds=bool((deaths > births).all() and (births >= 0).all()), where=where, told=f"H{k} has no bars")
        in_order = np.lexsort((deaths, births)).tolist() == list(range(len(found)))
        require(holds=in_order, where=where, told=f"H{k} is not sorted")
        for name, (value, degree) in numbers_of(found, k).items():
            stored = row[f"H{k}_{name}"]
            require(holds=near(stored, value), where=where, told=f"H{k}_{name} is {stored}, not {value}")
            if degree:
                twin = row[f"H{k}_{name}_scaled"]
                scaled = None if value is None or not median else value / median
                require(holds=near(twin, scaled), where=where, told=f"H{k}_{name}_scaled is {twin}, not {scaled}")


def unit_of(row, divided):
    """What the distances of a layer were divided by before its bars were measured."""
    return {"median": row["scale"], "rms": row["rms_distance"]}.get(divided, 1)


def layer(row, found, prefix, recipe, where):
    """One layer: its numbers, and its bars by dimension."""
    maxdim = recipe["maxdim"]
    bars = {k: of_shape(found, f"{prefix}H{k}", "f8", None, 2) for k in range(maxdim + 1)}
    essential = {k: of_shape(found, f"{prefix}H{k}_essential", "f8", None) for k in range(maxdim + 1)}
    check_layer(row, bars, recipe.get("scale"), where)
    require(holds=len(bars[0]) + len(essential[0]) <= row["points"], where=where, told="more bars than points")
    return {"numbers": row, "bars": bars}


def read_run(directory):
    """All of a run."""
    manifest = record(directory / "manifest.json")
    check_files(directory, manifest.get("files", {}))
    rows = parsed((directory / "tda_summaries.json").read_text(encoding="utf-8"))
    require(holds=list(rows) == manifest["layers"], where=directory, told=f"layers {list(rows)}")
    found, recipe = arrays(directory / "diagrams.safetensors"), manifest["recipe"]
    layers = {name: layer(row, found, f"{name}/", recipe, f"{directory}, {name}") for name, row in rows.items()}
    for one in manifest["expansions"]:
        check_growth(one, rows, directory)
    return {
        **{key: manifest[key] for key in ("model", "data", "expansions", "card")},
        "layers": layers,
        "language": language(directory),
        "claims": claims(directory),
        "texts": texts(directory, manifest),
        "activations": activations(directory, rows),
    }


def check_growth(one, rows, where):
    """Hold a growth to the shapes and scales of its two layers."""
    growth = one["growth"]
    if growth is None:
        require(holds=bool(one["reason"]), where=where, told=f"no growth from {one['baseline']} and no reason")
        return
    for name, value in growth_between(rows[growth["baseline"]], rows[growth["peak"]]).items():
        require(holds=near(growth[name], value), where=where, told=f"{name} is {growth[name]}, not {value}")


def growth_between(first, last):
    scale = last["scale"] / first["scale"]
    shape = last["H0_total_persistence_scaled"] / first["H0_total_persistence_scaled"]
    return {"ratio": scale * shape, "scale": scale, "shape": shape}


def language(directory):
    """The language metrics, or the reason why there are none."""
    found = parsed((directory / "metrics.json").read_text(encoding="utf-8"))
    if found.get("loss") is not None:
        require(holds=near(found["perplexity"], math.exp(found["loss"])), where=directory, told="perplexity")
        bits = found["loss"] * found["tokens"] / found["bytes"] / math.log(2)
        require(holds=near(found["bits_per_byte"], bits), where=directory, told=f"bits_per_byte is not {bits}")
    return found


def claims(directory):
    """Intervals, tests and half-samples of each layer; nothing of a run without them."""
    there = [(directory / name).exists() for name in ("tda_claims.json", "claims.safetensors")]
    require(holds=len(set(there)) == 1, where=directory, told="one of the two files of claims is missing")
    if not there[0]:
        return None
    found, beside = record(directory / "tda_claims.json", schema=2), arrays(directory / "claims.safetensors")
    for name, row in found["layers"].items():
        for number, one in row["intervals"].items():
            check_interval(one, f"{name}, {number}")
        for tests in row["tests"].values():
            for one in tests.values():
                check_test(one, f"{name}, {one['metric']}")
        groups = [bar["group"] for bar in row["loops"]]
        if groups:
            of_shape(beside, f"{name}/loop_groups", "i8", sum(groups))
    for name, half in found["halves"].items():
        k = len(half["names"])
        of_shape(beside, f"{name}/whole", "f8", k)
        splits = len(of_shape(beside, f"{name}/values", "f8", None, 2, k))
        of_shape(beside, f"{name}/quarters", "f8", splits, 4, k)
    return found


def check_interval(one, where):
    ends = (one["low"], one["high"])
    require(holds=None not in ends or bool(one.get("note")), where=where, told="no interval and no note")
    if None not in (*ends, one["estimate"]):
        require(holds=ends[0] <= one["estimate"] <= ends[1], where=where, told=f"{one['estimate']} is not in {ends}")


def check_test(one, where):
    if one["p"] is not None:
        least = one["smallest"] * (1 - CLOSE)
        require(holds=least <= one["p"] <= one["adjusted"] * (1 + CLOSE), where=where, told=f"p is {one['p']}")
        require(holds=one["family_wise"] >= least, where=where, told=f"family_wise is {one['family_wise']}")


def texts(directory, manifest):
    """The texts of a run; none where there is no file."""
    if not (directory / "texts.json").exists():
        return None
    found = record(directory / "texts.json")
    require(holds=found["sha256"] == manifest["texts_sha256"], where=directory, told="other texts")
    if found["items"] is not None:
        digest = hashlib.sha256(b"".join(text.encode() + b"\0" for text in found["items"])).hexdigest()
        require(holds=digest == found["sha256"], where=directory, told="texts of another digest")
        require(holds=found["lengths"] == list(map(len, found["items"])), where=directory, told="lengths")
    return found


def activations(directory, rows):
    """Layer → the shape of its activations, one float32 row a text; empty where they were not kept."""
    shapes = {}
    for path in directory.glob("activations/*.safetensors"):
        found = arrays(path)
        shapes |= {name: of_shape(found, name, "f4", None, rows[name]["dimension"]).shape for name in rows}
    return shapes


def read_experiment(directory):
    """The runs of an experiment in the order of its configuration, without unfinished ones."""
    whole = [path for path in (directory / "runs").iterdir() if path.suffix != ".part"]
    return [read_run(path) for path in sorted(whole, key=lambda path: int(path.name.removeprefix("run_")))]


# ---- a comparison


def read_comparison(directory):
    """The rows of each group, the pairs, and the outcome of the gate, each held to the runs that it is of."""
    found = record(directory / "comparison.json")
    runs = [read_run(directory / place) for place in found["experiments"]]
    count = sum(len(group["rows"]) for group in found["groups"].values())
    require(holds=count == len(runs), where=directory, told=f"{len(runs)} experiments of {count} rows")
    models, ahead = [run["model"] for run in runs], iter(runs)
    for name, group in found["groups"].items():
        own = {row["model"]: next(ahead) for row in group["rows"]}
        for row in group["rows"]:
            check_row(row, own[row["model"]], models, name)
        for pair in group["pairs"]:
            check_pair(pair, own, name)
        check_likeness(group["likeness"], name)
    gate = found.get("gate")
    if gate:
        fired = any(rule["fired"] for rule in gate["rules"])
        require(holds=gate["passed"] is not fired, where=directory, told="the gate and its rules differ")
    return {"groups": found["groups"], "gate": gate, "failures": found["failures"]}


def check_row(row, run, models, where):
    """Hold a row to the run that it is of; one of several runs of a model is called otherwise."""
    named = row["model"] == run["model"] or models.count(run["model"]) > 1
    require(holds=named and row["data"] == run["data"], where=where, told=f"a row of {row['model']}, {row['data']}")
    if row["expansion"] is not None:
        ends = (run["layers"][row[name]]["numbers"] for name in ("baseline", "peak_layer"))
        expected = growth_between(*ends)
        for name, of in GROWTHS.items():
            told = f"{name} is {row[name]}, not {expected[of]}"
            require(holds=near(row[name], expected[of]), where=where, told=told)
    for name, one in row["intervals"].items():
        require(holds=near(one["estimate"], row[name]), where=where, told=f"the interval of {name}")
        check_interval(one, f"{where}, {name}")
    bits = run["language"].get("bits_per_byte")
    require(holds=near(row["bits_per_byte"], bits), where=where, told=f"bits_per_byte is not {bits}")


def check_pair(pair, runs, where):
    """Hold the differences of a pair, layer by layer, to the numbers of both runs."""
    for one in pair["layers"]:
        for name, difference in one["differences"].items():
            for side in ("first", "second"):
                numbers = runs[pair[side]]["layers"][one[side]]["numbers"]
                told = f"{name} of {pair[side]} is {difference[side]}, not {numbers.get(name)}"
                known = name == "tree_length" or near(difference[side], numbers.get(name))
                require(holds=known, where=where, told=told)


def check_likeness(likeness, where):
    if likeness is not None:
        distances, v = np.array(likeness["distances"]), len(likeness["models"])
        sound = distances.shape == (v, v) and np.array_equal(distances, distances.T) and not distances.diagonal().any()
        require(holds=sound, where=where, told="distances that are none")
        require(holds=np.shape(likeness["tree"]) == (v - 1, 4), where=where, told="a tree that is none")


# ---- a training


def read_training(directory):
    """Each run of an experiment of training with its checkpoints, and the verdicts."""
    plan, judged = record(directory / "experiment.json"), record(directory / "signature.json")
    runs = {one["name"]: read_training_run(directory / "runs" / one["name"], one) for one in plan["runs"]}
    verdicts = {}
    for cell in judged["cells"].values():
        for one in (*cell["runs"], *cell["controls"]):
            require(holds=one["name"] in runs, where=directory, told=f"a verdict on {one['name']}")
            known = one["verdict"] in cell["definitions"]["verdicts"]
            require(holds=known, where=directory, told=f"a verdict of {one['verdict']}")
            ending = runs[one["name"]]["steps"][-1]
            require(holds=one["ending"]["step"] == ending, where=directory, told=f"{one['name']} ends elsewhere")
            verdicts[one["name"]] = one["verdict"]
    return {"runs": runs, "verdicts": verdicts}


def read_training_run(place, planned):
    """One run: its steps, its numbers along them, and how many bars it has there."""
    about, done = record(place / "run.json"), record(place / "finished.json")
    check_files(place, done["files"])
    for key in ("name", "kind", "seed", "settings"):
        require(holds=about[key] == planned[key], where=place, told=f"another {key} than planned")
    lines = list(lines_of(place / "records.jsonl"))
    for line in lines:
        check_line(line, arrays(place / "checkpoints" / f"step_{line['step']:08d}.safetensors"), place)
    turned = record(place / "turned.json") if (place / "turned.json").exists() else {}
    kept = turned.get("weights") == done["files"].get("weights.safetensors")
    loops = turned["found"]["loops"] if turned and kept else ()
    used = [one["name"]["frequency"] for one in loops if one["verdict"] == "used"]
    steps = [line["step"] for line in lines]
    followed = [line["numbers"][about["followed"]] for line in lines]
    return {"steps": steps, "followed": followed, "used": used, "complaint": done["complaint"]}


def lines_of(path):
    """The checkpoints in order; a last line without its newline is passed over, a step that does not rise refused."""
    last = -1
    for text in re.findall(r"[^\n]*\n", path.read_text(encoding="utf-8")):
        line = parsed(text)
        require(holds=line["schema"] == 1, where=path, told=f"schema {line['schema']}")
        require(holds=line["step"] > last, where=path, told=f"step {line['step']} after {last}")
        last = line["step"]
        yield line


def check_line(line, found, where):
    """Hold the topology among the numbers of a checkpoint to its clouds, and these to their bars."""
    for view, clouds in line["clouds"].items():
        for name, row in clouds.items():
            maxdim = max(int(key[1]) for key in row if re.fullmatch(r"H\d_count", key))
            layer(row, found, f"{name}/{view}/", {"maxdim": maxdim}, f"{where}, step {line['step']}, {name}")
            prefix = f"{name}/{view}/"
            for key, value in line["numbers"].items():
                if key.startswith(prefix):
                    told = f"step {line['step']}: {key} is {value}"
                    require(holds=near(value, row[key.removeprefix(prefix)]), where=where, told=told)
    for name, *shape in (("embedding_rows", "f4", None, None), ("spectrum", "f8", None)):
        if name in found:
            of_shape(found, name, *shape)


READ = {"run": read_run, "experiment": read_experiment, "comparison": read_comparison, "training": read_training}

if __name__ == "__main__":
    kind, place = sys.argv[1:]
    json.dump(READ[kind](Path(place)), sys.stdout, default=len)  # of bars, how many there are
