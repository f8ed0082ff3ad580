"""What a probe found out: does the model hold the words on a circle, and does it use that circle?"""

__all__ = ["probe_sections"]
