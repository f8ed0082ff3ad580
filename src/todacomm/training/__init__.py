"""Training of small networks on small tasks: tasks, networks, the loop, what is observed of it, the signature of grokking."""

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
    "verdict",
]
