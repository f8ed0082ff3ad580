"""Prepare points and compute their distances; read files of arrays; CKA, intrinsic dimension."""

__all__ = [
    "array_files",
    "cka",
    "distance_matrices",
    "distances",
    "duplicates",
    "intrinsic_dimension",
    "landmarks",
    "pca",
    "planes_and_clusters",
    "prepare",
    "table_files",
]
