"""The report on a track: heat maps of layers over steps, curves, onsets, and a page with a slider."""

__all__ = ["monitor_document", "read_track", "track_document", "track_sentences"]
