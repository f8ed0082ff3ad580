"""A probe of a model → a directory: the record, figures, and the page."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from todacomm.circles.probed import Probed
from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.core.versions import versions
from todacomm.records.files.result_directories import check_name, in_part, new_directory, reserved, writable
from todacomm.records.probes import PROBE_RECORD, ProbeRun
from todacomm.records.runs import safe
from todacomm.report.document.style import drawn_as
from todacomm.report.probes.probe_sections import context_of_probe, write_probe_report
from todacomm.runs.config import Study
from todacomm.runs.experiment import load
from todacomm.runs.loops.probe_files import load_probe
from todacomm.runs.loops.probe_model import HowTested, probe_model


@dataclass(frozen=True, slots=True, eq=False)
class ProbeWritten:
    """What came of one probe, and where it is."""

    found: Probed
    directory: Path


def execute_probes(
    study: Study,
    names: Sequence[str],
    how: HowTested,
    *,
    turning: bool = True,
    command: str = "",
    track: Track = silent,
    say: Say = unsaid,
) -> list[ProbeWritten]:
    """Load the model of a study once, and write a directory for each probe; all probes are read before any work."""
    probes = [load_probe(name) for name in names]
    directory = writable(Path(study.output_dir))
    (name,) = study.models
    for probe in probes:
        check_name(f"probe_{safe(name)}_{safe(probe.name)}")
    say(f"{name}: loading")
    model = load(name, study)
    about = {
        "name": model.name,
        "parameters": model.parameters,
        "blocks": model.blocks,
        "weights_sha256": model.weights_sha256,
    }
    written = []
    for probe in probes:
        say(f"{model.name}: {probe.name}")
        found = probe_model(model, probe, how, turning=turning, track=track)
        place = new_directory(directory, f"probe_{safe(model.name)}_{safe(probe.name)}")
        record = ProbeRun(found, command, asdict(how), about, versions())
        written.append(ProbeWritten(found, write(place, record, study)))
    return written


def write(place: Path, record: ProbeRun, study: Study) -> Path:
    """``probe_<model>_<probe>_<timestamp>/``, whole or not at all."""
    with reserved(place), in_part(place) as part, drawn_as(study.drawn_as()):
        PROBE_RECORD.write(part, record)
        write_probe_report(part, record.found, context_of_probe(record))
    return place
