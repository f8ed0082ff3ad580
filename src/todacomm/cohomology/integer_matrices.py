"""Small matrices of whole numbers: the Smith normal form, and the Lenstra–Lenstra–Lovász reduction of a lattice."""

import numpy as np
from jaxtyping import Float, Int

DELTA = 0.75  # of Lenstra, Lenstra and Lovász 1982, https://doi.org/10.1007/BF01457454
Square = Int[np.ndarray, "k k"]


def smith(matrix: Int[np.ndarray, "q k"]) -> tuple[tuple[int, ...], Square]:
    """The nonzero diagonal of the Smith normal form, each entry dividing the next, and the change of columns that
    leads to it.

    ``matrix @ columns`` is the diagonal form but for operations on rows: the rows of the matrix are relations of k
    generators, and a row of coefficients a of the old generators is a @ columns of the new ones.
    """
    rest, columns = matrix.astype(object), np.eye(matrix.shape[1], dtype=object)
    found: list[int] = []
    for t in range(min(matrix.shape)):
        if not rest[t:, t:].any():
            break
        while not settled(rest, columns, t):
            pass
        found.append(abs(int(rest[t, t])))
    return tuple(found), columns.astype(np.int64)


def settled(rest: np.ndarray, columns: np.ndarray, t: int) -> bool:
    """Bring the least entry to (t, t) and clear its row and column by it; True where all that is left is a multiple
    of it.
    """
    part = np.abs(rest[t:, t:])
    least = np.where(part == 0, part.max() + 1, part)
    i, j = divmod(int(np.argmin(least)), part.shape[1])
    rest[[t, t + i]] = rest[[t + i, t]]
    for array in (rest, columns):
        array[:, [t, t + j]] = array[:, [t + j, t]]
    pivot = rest[t, t]
    rest[t + 1 :] -= np.outer(rest[t + 1 :, t] // pivot, rest[t])
    quotients = rest[t, t + 1 :] // pivot
    for array in (rest, columns):
        array[:, t + 1 :] -= np.outer(array[:, t], quotients)
    if rest[t + 1 :, t].any() or rest[t, t + 1 :].any():
        return False
    odd = np.flatnonzero((rest[t + 1 :, t + 1 :] % pivot != 0).any(axis=1))
    if odd.size:
        rest[t] += rest[t + 1 + odd[0]]
    return not odd.size


def reduced(gram: Float[np.ndarray, "k k"]) -> Square:
    """The whole-number change of basis (rows) that makes the vectors with these inner products short and nearly
    orthogonal, shortest first.
    """
    basis = np.eye(len(gram), dtype=np.int64)
    k = 1
    while k < len(basis):
        for j in range(k - 1, -1, -1):
            basis[k] -= round(float(orthogonalised(gram, basis)[0][k, j])) * basis[j]
        shares, lengths = orthogonalised(gram, basis)
        if lengths[k] >= (DELTA - shares[k, k - 1] ** 2) * lengths[k - 1]:
            k += 1
        else:
            basis[[k, k - 1]] = basis[[k - 1, k]]
            k = max(k - 1, 1)
    return basis[np.argsort(np.einsum("ij,jk,ik->i", basis, gram, basis), kind="stable")]


def orthogonalised(
    gram: Float[np.ndarray, "k k"], basis: Square
) -> tuple[Float[np.ndarray, "k k"], Float[np.ndarray, " k"]]:
    """Gram and Schmidt: the share of each earlier direction in each vector, and the squared lengths of the
    directions.
    """
    lower = np.linalg.cholesky(basis @ gram @ basis.T)
    diagonal = lower.diagonal()
    return lower / diagonal, diagonal**2
