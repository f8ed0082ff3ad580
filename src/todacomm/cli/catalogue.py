"""``todacomm list-models``, ``list-configs``, ``init`` and ``--version``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from todacomm.cli import options
from todacomm.cli.terminal import console, streams
from todacomm.homology.engines import DEFAULT


def list_models(json: options.Json = False) -> None:
    """List named models with kind and parameters: the four that ship with todacomm, and presets of the hub.

    A preset is a name for a hub id; any other model goes by its id or its directory: todacomm run --hf-model ID.
    """
    from todacomm.models.names import PRESETS, ZOO

    known = {**ZOO, **PRESETS}
    if json:
        streams.print_json([{"name": name, **asdict(preset)} for name, preset in known.items()])
        return
    from rich.table import Table

    table = Table("name", "kind", "parameters", "where", box=None, pad_edge=False, header_style="bold")
    table.columns[2].justify = "right"
    for name, preset in known.items():
        where = f"hub: {preset.location}" if preset.location else "ships with todacomm, works offline"
        table.add_row(
            name,
            preset.kind,
            f"{preset.parameters / 1e6:,.3g} M" if preset.parameters < 1e9 else f"{preset.parameters / 1e9:.2g} G",
            where,
        )
    console.out.print(table)
    console.out.print("\nAny other: todacomm run --hf-model owner/name, or a directory with a model in it.")


def list_configs() -> None:
    """List the study files that ship with todacomm; todacomm run --config NAME runs one."""
    from rich.table import Table

    from todacomm.runs.config_files import shipped_studies

    table = Table("name", "what it measures", box=None, pad_edge=False, header_style="bold")
    for name, description in shipped_studies().items():
        table.add_row(name, description)
    console.out.print(table)
    console.out.print("\nRun one: todacomm run --config NAME. Start your own: todacomm init study.yaml")


def init(path: Annotated[Path, typer.Argument(help="The study file to write.")] = Path("study.yaml")) -> None:
    """Write a study file with every option, its default and its meaning."""
    from todacomm.core.errors import CannotWrite
    from todacomm.records.files.io import write_atomically
    from todacomm.runs.config_files import template

    if path.exists():
        raise CannotWrite(f"{path} is there already, and nothing is overwritten: give another name")
    write_atomically(path, template())
    console.out.print(f"Written to {path}. Run it: todacomm run --config {path}")


def print_versions() -> None:
    """Print versions, device and engine, and a warning about files of 0.1.0 beside this package."""
    from todacomm.core.versions import predecessor_warning, versions

    found = versions()
    console.out.print(f"todacomm {found.pop('todacomm')}")
    for name, version in found.items():
        console.out.print(f"  {name} {version or 'not installed'}")
    console.out.print(f"  device {device()}")
    console.out.print(f"  engine {DEFAULT}, checked against ripser")
    warning = predecessor_warning()
    if warning:
        console.warn(warning)


def device() -> str:
    """The device that ``--device auto`` takes."""
    try:
        import torch
    except ModuleNotFoundError:
        return "none: torch is not installed, arrays can be measured"
    if torch.cuda.is_available():
        return f"cuda ({torch.cuda.get_device_name()})"
    return "mps" if torch.backends.mps.is_available() else f"cpu ({torch.get_num_threads()} threads)"
