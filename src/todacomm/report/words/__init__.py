"""Numbers in sentences and table cells: intervals, nulls, expansion, loops, pairs of models."""

__all__ = ["expansion", "fields", "finding", "glossary", "intervals_and_nulls", "loops", "pairs", "phrases"]
