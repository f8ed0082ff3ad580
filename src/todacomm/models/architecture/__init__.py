"""What a network is made of, and how it reads: blocks, norms, hooks, causal or masked."""

__all__ = ["anatomy", "block_chains", "causal_or_masked", "forward_inputs", "hooks", "probing"]
