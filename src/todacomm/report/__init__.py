"""Figures, texts and pages; reads Profiles and Comparisons only.

reading.py    what a profile says, in words: thresholds, marks, numbers      style.py   one palette, one style
plots.py      the figures of a profile: along_plots.py, diagram_plots.py     panels.py  the axes that they share
sections.py   its texts: topology_sections.py, trust_sections.py             pieces.py  paragraphs, tables → Markdown
comparison_plots.py, comparison_sections.py  the same for several            table.py   the terminal, with overview.py, sparks.py
several_sections.py  the page over runs that are not compared
pairing_plots.py, pairing_sections.py        of two, and how alike all are   verdict.py two in one paragraph
grok_sections.py  of training: grok_tables.py, grok_meanings.py, on what grok_reading.py finds in the directory of an experiment
grok_figures.py   its figures: grok_plots.py, grok_clock_plots.py, grok_signature_plots.py, grok_animation.py, of grok_panels.py
drawings.py   a registry of figures for each kind of record
comparison_charts.py, likeness_charts.py, language_charts.py, pairing_charts.py  the figures of several, drawn by the page: of chart_parts.py
layer_data.py, layer_details.py  what the page shows along the layers; explorers.py  of the runs of an experiment or a comparison
render.py     documents → files                                              templates/ one page, offline, no script

To add a figure or a section, write one decorated function in the file where its kind lives. Nothing is imported here, so
that matplotlib and jinja2 are loaded only by those who draw.
"""
