"""
Normals and albedo
==================

Which way does the surface face at each pixel, and what colour has it, without light and shadow?
"""

# %%
# Photographs under 100 lamps, whose positions are known. The scene is rendered, so that its true normals are known too.

import matplotlib.pyplot as plt
import numpy as np

from sklrelight.datasets import make_scene
from sklrelight.surface import PhotometricStereo, angular_error, integrate_normals

scene = make_scene(100, image_shape=(72, 96))

# %%
# :class:`~sklrelight.surface.PhotometricStereo` explains each pixel by a matte surface. The lamps are near, so it is
# told where the point is that each pixel shows. For lights far away, leave `points` out. For a flat object under near
# lights, give the size of a pixel.
stereo = PhotometricStereo(scene.points).fit(scene.lights, scene.images)
plain = PhotometricStereo(scene.points, loss="squared_error").fit(scene.lights, scene.images)


def show(axis, image, title, **options):
    """Draw an image without ticks."""
    drawn = axis.imshow(image, **options)
    axis.set_title(title)
    axis.set_axis_off()
    return drawn


fig, axes = plt.subplots(2, 2, figsize=(8, 6.2), layout="constrained")
show(axes[0, 0], (scene.normals + 1) / 2, "True normals")
show(axes[0, 1], (stereo.normals_ + 1) / 2, "Normals found")
for axis, model, name in [(axes[1, 0], stereo, "absolute error"), (axes[1, 1], plain, "squared error")]:
    angles = angular_error(model.normals_, scene.normals)
    drawn = show(axis, angles, f"{name}: median {np.nanmedian(angles):.1f} degrees", vmin=0, vmax=45, cmap="magma")
fig.colorbar(drawn, ax=axes[1], label="angle to the true normal (degrees)")

# %%
# Red shows how far a normal points to the right, green how far up, and blue how far to the camera. The balls of steel
# and brass are not matte: they mirror the lamp and the scene, and no matte surface explains them. Elsewhere, highlights
# and cast shadows are outliers. The default, the absolute error, gives them little weight. The squared error does not.
#
# The albedo is the colour without light and shadow. The residuals are the mean difference between the matte surface and
# the photographs. They show where metal, highlights and shadows are.
fig, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained")
show(axes[0], np.clip(scene.images[37], 0, 1) ** (1 / 2.2), "A photograph")
white = np.quantile(stereo.albedo_, 0.98)
show(axes[1], np.clip(stereo.albedo_ / white, 0, 1) ** (1 / 2.2), "Albedo")
show(axes[2], stereo.residuals_, "Residuals", cmap="magma", vmax=np.quantile(stereo.residuals_, 0.95))

# %%
# :func:`~sklrelight.surface.integrate_normals` turns normals into depth, for a surface without steps that is seen from
# far away, such as a part of a ball.
ball = (slice(40, 54), slice(50, 64))
depth = integrate_normals(stereo.normals_[ball])
fig, axis = plt.subplots(figsize=(5, 4), subplot_kw={"projection": "3d"}, layout="constrained")
rows, columns = np.mgrid[: depth.shape[0], : depth.shape[1]]
axis.plot_surface(columns, -rows, depth, cmap="viridis")
axis.set(title="Part of the red ball (pixels)", box_aspect=(1, 1, 0.6))
