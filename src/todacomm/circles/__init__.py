"""Circles that inputs are known or found to lie on: do they, and does the model use them?"""

__all__ = ["causal_test", "order", "probed", "probes"]
