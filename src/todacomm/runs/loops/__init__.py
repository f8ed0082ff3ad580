"""The loops of a run or a file, and probes of a model: their files, the work, and what is written."""

__all__ = ["find_loops", "loops_along_steps", "probe_model", "turn_run", "write_probe", "write_turned"]
