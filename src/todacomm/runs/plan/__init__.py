"""Estimate what a study will take: points, tokens, FLOPs, seconds, bytes."""

__all__ = ["estimate", "memory_limit", "plan", "remaining_time"]
