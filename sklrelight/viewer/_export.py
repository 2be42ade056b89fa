"""What people call: :func:`export_html` and :func:`show`."""

import html

from ..utils import replacing
from ._distillation import distill
from ._page import make_page

__all__ = ["NotebookPage", "export_html", "show"]


def export_html(relighter, path, *, lights=None, images=None, title="Relighting", **distillation):
    """Write a page where the light is dragged, as one file that needs no network.

    Parameters
    ----------
    relighter : Relighter
        Fitted to photographs of shape (n, H, W, 3) or (n, H, W).

    path : path-like
        The file to write, such as ``"scene.html"``; one that exists is replaced.

    lights, images : array-like of shape (n, d) and (n, H, W, C) or (n, H, W), or None, default=None
        Photographs to compare with, linear radiance in the units that `relighter` was fitted to; at most 64 of them,
        that cover the lights, go into the page. Lights alone say between which lights the page's lies.

    title : str, default="Relighting"
        The page's heading: plain text, whatever it holds.

    **distillation : dict
        ``white``, ``psnr``, ``n_lights``, ``max_size`` and ``verbose`` of :func:`distill`.

    Returns
    -------
    Decoder
        What the page runs, with the measured ``psnr`` to `relighter`.

    Raises
    ------
    ImportError
        If OpenCV is missing: ``pip install 'sklrelight[images]'``.

    OSError
        If the file cannot be written; a file that was there stays.

    ValueError
        If lights and images do not fit together, or for what :func:`distill` refuses.

    See Also
    --------
    show : The same page in a notebook.
    sklrelight.datasets.save_ptm : A polynomial texture map, for RTI viewers.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklrelight import Relighter
    >>> from sklrelight.datasets import make_scene
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> from sklrelight.viewer import export_html
    >>> scene = make_scene(n_lights=16, image_shape=(12, 16))
    >>> relighter = Relighter(RBFInterpolation()).fit(scene.lights, scene.images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "scene.html")
    ...     decoder = export_html(relighter, path, lights=scene.lights, images=scene.images)
    ...     path.read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    with replacing(path) as temporary:
        decoder, page = _make(relighter, lights, images, title, distillation)
        temporary.write_text(page, encoding="utf-8")
    return decoder


def show(relighter, *, lights=None, images=None, title="Relighting", height=640, **distillation):
    """Show the page of :func:`export_html` in a notebook.

    Parameters
    ----------
    relighter, lights, images, title, **distillation
        As in :func:`export_html`.

    height : int, default=640
        Of the page, in CSS pixels.

    Returns
    -------
    NotebookPage
        The page, which a notebook shows where it is the last value of a cell, or by ``display``. It has `decoder`.

    Examples
    --------
    >>> from sklrelight import Relighter
    >>> from sklrelight.datasets import make_scene
    >>> from sklrelight.interpolation import RBFInterpolation
    >>> from sklrelight.viewer import show
    >>> scene = make_scene(n_lights=16, image_shape=(12, 16))
    >>> show(Relighter(RBFInterpolation()).fit(scene.lights, scene.images))
    NotebookPage(title='Relighting')
    """
    decoder, page = _make(relighter, lights, images, title, distillation)
    return NotebookPage(decoder, page, title, int(height))


class NotebookPage:
    """A page that a notebook shows in a frame.

    Parameters
    ----------
    decoder : Decoder
        What the page runs.

    page : str
        Its HTML.

    title : str
        Its heading.

    height : int
        Of the frame, in CSS pixels.
    """

    def __init__(self, decoder, page, title, height):
        self.decoder = decoder
        self.page = page
        self.title = title
        self.height = height

    def _repr_html_(self):
        # Scripts run in there, and reach nothing of the notebook.
        return (
            f'<iframe sandbox="allow-scripts" title="{html.escape(self.title)}" width="100%" height="{self.height}"'
            f' style="border: 0" srcdoc="{html.escape(self.page)}"></iframe>'
        )

    def __repr__(self):
        return f"NotebookPage(title={self.title!r})"


def _make(relighter, lights, images, title, distillation):
    if images is not None and lights is None:
        raise ValueError("images need their lights to be compared with: pass lights=")
    # The lights of a few photographs to compare with are not those that the model knows.
    known = lights if images is None or not hasattr(relighter, "lights_") else None
    decoder = distill(relighter, lights=known, **distillation)
    return decoder, make_page(decoder, lights=lights, images=images, title=title)
