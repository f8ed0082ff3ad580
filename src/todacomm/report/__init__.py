"""Figures, texts and pages.

`document/` is what all reports share, `words/` numbers in sentences; then one folder a kind: `layers/` one model,
`comparison/` several, `training/`, `tracking/`, `ablation/`, and `terminal/`. `render.py` writes the documents;
`templates/` and `vendor/` are the page.

To add a figure or a section, write one decorated function in the file of its kind. Nothing is imported here, so that
matplotlib and jinja2 are loaded only for drawing.
"""

__all__ = ["render"]
