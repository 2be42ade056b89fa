"""
Relight a capture
=================

From photographs under known lights to a picture under a light that nobody photographed.
"""

# %%
# A capture is a stack of photographs from one camera, each under one light, and the lights. Here a still life is
# rendered in place of photographs; ``load_rti("my_capture")`` loads your own, with the same two attributes.
#
# The map in the corner of each photograph shows all lamps from above, and the one that burns: left is left, and
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
# Every fifth photograph is kept from the model, to see how well it is predicted. A sample is one light with its
# photograph, so any of scikit-learn's splitters would do as well.
held_out = np.arange(len(capture.lights)) % 5 == 2
train_lights, train_images = capture.lights[~held_out], capture.images[~held_out]
test_lights, test_images = capture.lights[held_out], capture.images[held_out]

# %%
# The fit. ``max_observations`` bounds its length: an observation is one pixel under one light. The default is 10
# million, and more of them give a lower error.
relighter = make_relighter(random_state=0).set_params(regressor__mlp__max_observations=1_000_000)
relighter.fit(train_lights, train_images)

# %%
# Errors of the held-out photographs. Radiance is encoded first, so that the figures are about what people see;
# ``white`` is what a screen would show as white. The nearest photograph is the mark that any model has to beat.
white = display_white(train_images)
predicted = relighter.predict(test_lights)
nearest = Relighter(NearestPhotograph()).fit(train_lights, train_images).predict(test_lights)
print(f"relative error (encoded): nearest photograph {relative_error(test_images, nearest, white=white):.3f}")
print(f"relative error (encoded): sklrelight         {relative_error(test_images, predicted, white=white):.3f}")

# %%
# One of them: predicted, as it is, and the difference. White is the level of the highlights, so the pictures are
# shown three stops brighter.
errors = [relative_error(*pair, white=white) for pair in zip(test_images, predicted, strict=True)]
typical = np.argsort(errors)[len(errors) // 2]
_ = RelightingDisplay.from_predictions(test_images[typical], predicted[typical], white=white, exposure=3)

# %%
# Where among the lights the model errs: at the rim of the lights there are neighbours on one side only.
_ = LightErrorDisplay.from_predictions(test_lights, test_images, predicted, training_lights=train_lights, white=white)

# %%
# Lights that nobody photographed: a lamp that walks from left to right, between the rows of the grid.
walk = np.column_stack([np.linspace(-2, 2, 4), np.full(4, 2.75), np.full(4, 2.4)])
_ = ContactSheetDisplay.from_estimator(relighter, walk)

# %%
# Light adds up, so two lamps are the sum of each. Colours are the lamps' intensities in red, green and blue.
lamps = [[-1.8, 2.8, 2.2], [1.6, 2.6, 2.8]]
both = relighter.relight(lamps, [[1.0, 0.55, 0.25], [0.25, 0.5, 1.0]])
_ = ContactSheetDisplay.from_predictions(
    np.concatenate([relighter.predict(lamps), both[None]]), white=display_white(both[None]), exposure=3
)

# %%
# Keep the model: ``joblib.dump(relighter, "my_capture.joblib")``. It is an ordinary estimator, whose parts and
# parameters this display shows; the question marks lead to their pages.
relighter
