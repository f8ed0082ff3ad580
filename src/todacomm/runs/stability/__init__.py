"""Run and resume studies of stability."""
