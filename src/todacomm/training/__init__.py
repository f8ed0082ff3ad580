"""Train small networks on small tasks, observe them, and decide whether they show the signature of grokking."""

__all__ = [
    "digit_images",
    "fourier",
    "milestones",
    "networks",
    "observe",
    "presets",
    "run_settings",
    "signature",
    "tasks",
    "training_loop",
    "turned_embedding",
    "turned_run",
    "verdict",
]
