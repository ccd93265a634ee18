"""Two projections of every gradient, in which no wrong entry goes unseen."""

import numpy as np


def project_by_name(gradients):
    """dict of name -> G becomes one of name -> G @ u, and one of name -> v @ G.

    u and v are random and fixed: they depend on the names' order and on the shapes alone.
    """
    generator = np.random.default_rng(11)
    columns, rows = {}, {}
    for name, gradient in sorted(gradients.items()):
        columns[name] = gradient @ generator.normal(size=gradient.shape[-1])
        rows[name] = generator.normal(size=gradient.shape[0]) @ gradient
    return columns, rows


def project(gradients):
    """As `project_by_name`, in one vector in the order of names."""
    columns, rows = project_by_name(gradients)
    return np.concatenate([np.ravel(each[name]) for name in columns for each in (columns, rows)])
