"""Find the parts of a network and how it reads: blocks, norms, hooks, causal or masked."""

__all__ = ["block_chains", "blocks_and_norms", "causal_or_masked", "forward_inputs", "hooks", "probing"]
