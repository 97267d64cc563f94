"""The kinds of characters of one text, counted plainly."""

import numpy as np

from baichuan_jax.data.characters import KINDS, kinds, points


def count_kinds(text):
    return np.bincount(kinds(points([text]))[:-1], minlength=KINDS).tolist()
