"""The kinds of characters of one text, counted plainly."""

import numpy as np

from baichuan_jax.data.characters import KINDS, join, kinds, points


def count_kinds(text):
    return np.bincount(kinds(points(join([text])))[:-1], minlength=KINDS).tolist()
