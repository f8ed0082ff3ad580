"""Find the loops of a cloud by integer cohomology: an angle for every point, cycles of texts, what runs around them."""

__all__ = ["association", "curve", "find", "offers", "passages", "record", "scales"]
