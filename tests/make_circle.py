"""Write 24 points on a circle to the file named: one loop, born at 2 sin(π/24), dead at √3."""

import sys

import numpy as np

angle = 2 * np.pi * np.arange(24) / 24
np.save(sys.argv[1], np.c_[np.cos(angle), np.sin(angle)])
