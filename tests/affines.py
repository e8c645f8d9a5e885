"""Voxel to world, as volumes come: axes in every order, mirrored, turned, of unequal spacing."""

import numpy as np

ANGLE = np.deg2rad(20)
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = np.array(
    [[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]]
) @ np.diag([0.9, 0.9, 6.5])
OBLIQUE[:3, 3] = [11.5, -22.25, 33.125]
AFFINES = {
    "axial": np.eye(4),
    "sagittal": np.array([[0, 0, 3, -10], [-1, 0, 0, 20], [0, -1, 0, 30], [0, 0, 0, 1.0]]),
    "coronal": np.array([[-1, 0, 0, 5], [0, 0, 2, 6], [0, -1, 0, 7], [0, 0, 0, 1.0]]),
    "oblique": OBLIQUE,
    "lps": np.diag([-1.0, -1, 2, 1]),
    "anisotropic": np.diag([0.5, 0.75, 6.4, 1]),
}
