"""
Relight a capture
=================

From photographs under known lights to an image under a light that nobody photographed.
"""

# %%
# A capture consists of lights and of photographs from one camera, one under each light. Here a still life is
# rendered in place of photographs. ``load_rti("my_capture")`` loads your own, with the same two attributes.
#
# The map in the corner of each photograph shows all lamps from above, with the burning one marked. Left is left, and
# up is towards the camera.

import numpy as np

from sklrelight import Relighter, make_relighter
from sklrelight.datasets import make_scene
from sklrelight.interpolation import NearestPhotograph
from sklrelight.metrics import display_white, relative_error
from sklrelight.plotting import ContactSheetDisplay, LightErrorDisplay, RelightingDisplay

capture = make_scene(n_lights=144, image_shape=(72, 96))
print(f"lights {capture.lights.shape}, images {capture.images.shape}")
_ = ContactSheetDisplay.from_predictions(capture.images, capture.lights, n_images=8)

# %%
# Every fifth photograph is held out, to see how well it is predicted. A sample is one light with its photograph, so
# any of scikit-learn's splitters would do as well.
held_out = np.arange(len(capture.lights)) % 5 == 2
train_lights, train_images = capture.lights[~held_out], capture.images[~held_out]
test_lights, test_images = capture.lights[held_out], capture.images[held_out]

# %%
# The fit. ``max_observations`` bounds its length, where an observation is one pixel under one light. The default is
# 20 million. More of them give a lower error.
relighter = make_relighter(max_observations=1_000_000, random_state=0)
relighter.fit(train_lights, train_images)

# %%
# Errors of the held-out photographs. Radiance is encoded first, so that the errors are about what people see.
# ``white`` is the radiance that a screen shows as white. Every model should do better than the nearest photograph.
white = display_white(train_images)
predicted = relighter.predict(test_lights)
nearest = Relighter(NearestPhotograph()).fit(train_lights, train_images).predict(test_lights)
print(f"relative error (encoded): nearest photograph {relative_error(test_images, nearest, white=white):.3f}")
print(f"relative error (encoded): sklrelight         {relative_error(test_images, predicted, white=white):.3f}")

# %%
# One of the held-out photographs: predicted, original, and the difference. Highlights are white, so the images are
# shown three stops brighter.
errors = [relative_error(*pair, white=white) for pair in zip(test_images, predicted, strict=True)]
typical = np.argsort(errors)[len(errors) // 2]
_ = RelightingDisplay.from_predictions(test_images[typical], predicted[typical], white=white, exposure=3)

# %%
# The errors on a map of the lights. They are largest at the rim, where there are neighbours on one side only.
_ = LightErrorDisplay.from_predictions(test_lights, test_images, predicted, training_lights=train_lights, white=white)

# %%
# Lights that nobody photographed: a lamp that moves from left to right, between the rows of the grid.
walk = np.column_stack([np.linspace(-2, 2, 4), np.full(4, 2.75), np.full(4, 2.4)])
_ = ContactSheetDisplay.from_estimator(relighter, walk)

# %%
# Light adds up, so the scene under two lamps is the sum of the scenes under each. The intensities of the lamps in red,
# green and blue are their colours.
lamps = [[-1.8, 2.8, 2.2], [1.6, 2.6, 2.8]]
both = relighter.relight(lamps, [[1.0, 0.55, 0.25], [0.25, 0.5, 1.0]])
_ = ContactSheetDisplay.from_predictions(
    np.concatenate([relighter.predict(lamps), both[None]]), white=display_white(both[None]), exposure=3
)

# %%
# ``joblib.dump(relighter, "my_capture.joblib")`` keeps the model. It is an ordinary estimator, and this display shows
# its parts and parameters. The question marks lead to their pages.
relighter
