"""What a study will take before it is begun: points, tokens, FLOPs, seconds, bytes."""

__all__ = ["estimate", "memory_limit", "plan", "remaining_time"]
