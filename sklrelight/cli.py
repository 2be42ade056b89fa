"""The command line ``sklrelight``, for people who do not write Python."""

import math
import shlex
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

# Rooms are reached through the package, which imports one when it is first used: help does not wait for torch.
import sklrelight

from .utils import import_extra, replacing

__all__ = ["main"]

# Relative errors of encoded values, and what they look like side by side.
_ERRORS_IN_WORDS = [
    (0.03, "the difference is hard to see"),
    (0.08, "the difference shows in highlights and at the edges of shadows"),
    (math.inf, "the difference is plain to see"),
]
# Longer side in pixels of the photographs in which a mirror ball is looked for.
_LOOKED_AT = 1000


class _Command(click.Command):
    """A command that shows the traceback of an error if it is given ``--debug``."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.params.append(click.Option(["--debug"], is_flag=True, help="Show where in the program an error arose."))

    def invoke(self, ctx):
        debug = ctx.params.pop("debug")
        with warnings.catch_warnings():
            warnings.simplefilter("once", UserWarning)
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                click.echo("\nStopped. Nothing was written.", err=True)
                ctx.exit(130)
            except (click.ClickException, click.exceptions.Exit, click.Abort):
                raise
            except Exception as error:
                if debug:
                    raise
                raise click.ClickException(_on_one_line(error)) from error


class _Group(click.Group):
    """Commands, listed in the order in which they are used."""

    command_class = _Command

    def list_commands(self, ctx):
        return list(self.commands)


def _on_one_line(error):
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    text = " ".join(str(error).split())
    # Whoever wrote other kinds did not write them for readers of a terminal.
    written = isinstance(error, (ValueError, OSError, ImportError, Warning))
    return text if text and written else f"{type(error).__name__}: {text}; --debug shows where it arose"


def _show_warning(message, category, filename, lineno, file=None, line=None):
    tqdm.write(f"Note: {_on_one_line(message)}", file=sys.stderr)


class _Decode(click.ParamType):
    """How stored values become radiance: by name, or by a number."""

    name = "decode"

    def convert(self, value, param, ctx):
        if value in ("auto", "srgb", "linear"):
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither auto, srgb or linear nor a number, such as 2.2", param, ctx)


def _combine(*decorators):
    """Make one decorator of several, the first of which is listed first."""

    def decorate(function):
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


_PATH = click.Path(path_type=Path)
_EXISTING = click.Path(exists=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_model = click.argument("model", type=_FILE)
_overwrite = click.option("--overwrite", is_flag=True, help="Replace files that are there already.")
_max_time = click.option(
    "--max-time",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="End training after so many seconds. Without this it takes a minute or two on two processor cores.",
)
_exposure = click.option("--exposure", type=float, default=0.0, metavar="STOPS", help="Make images brighter or darker.")
_environment = _combine(
    click.option(
        "--environment", type=_FILE, metavar="MAP", help="Panorama of a place (.hdr or .exr), which gives the light."
    ),
    click.option(
        "--n-lights",
        type=click.IntRange(1),
        metavar="N",
        default=40,
        show_default=True,
        help="Number of lights that stand for the panorama.",
    ),
)
_capture = _combine(
    click.argument("capture", type=_EXISTING),
    click.option(
        "--crop",
        type=int,
        nargs=4,
        metavar="TOP BOTTOM LEFT RIGHT",
        help="Rows and columns of the photographs to keep, in pixels.",
    ),
    click.option(
        "--downscale",
        type=click.IntRange(1),
        metavar="N",
        help="Average squares of N x N pixels. Large photographs are then fitted faster, and have less noise.",
    ),
    click.option(
        "--decode",
        type=_Decode(),
        metavar="auto|srgb|linear|NUMBER",
        help="How stored values become light: by the sRGB curve, as they are, or by a power such as 2.2."
        " auto: sRGB for 8 bits, as they are for more.",
    ),
    click.option("--mask", metavar="IMAGE", help="Image that is white where the object is."),
    click.option("--light-file", metavar="FILE", help="File with the lights, if the folder has several or none."),
    click.option(
        "--match",
        type=click.Choice(["name", "order"]),
        help="Whether the file with the lights names the photographs, or has them in their order.",
    ),
    click.option(
        "--missing", type=click.Choice(["error", "skip"]), help="What to do if a photograph in that file is missing."
    ),
)


def _output(text, **options):
    return _combine(click.option("-o", "--output", type=_PATH, metavar="FILE", help=text, **options), _overwrite)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(sklrelight.__version__, prog_name="sklrelight")
def main():
    r"""Photograph an object under some lights, and see it under any other light.

    CAPTURE is a folder with photographs from one camera position, each under one light, and a file that says where the
    lights were, such as the .lp file of RTI software. A typical session:

    \b
      sklrelight info coin/
      sklrelight fit coin/ -o coin.relight
      sklrelight page coin.relight -o coin.html
    """


@main.command()
@_capture
@click.option("--sheet", type=_PATH, metavar="FILE", help="Write an image with all photographs and their lights.")
@_overwrite
def info(capture, sheet, overwrite, **options):
    """Tell what is in CAPTURE."""
    if sheet is not None:
        _check_output(sheet, overwrite)
    data = _load(capture, options)
    height, width = data.images.shape[1:3]
    n_values = data.images.size
    _table(
        {
            "photographs": len(data.images),
            "size": f"{width} x {height} pixels ({width * height / 1e6:.1f} megapixels)",
            "colour": "red, green, blue" if data.images.ndim == 4 else "grey",
            "values": _describe_values(data),
            "lights": _describe_lights(data.lights, data.get("light_norms")),
            "mask": None if data.get("mask") is None else f"the object covers {data.mask.mean():.0%} of the image",
        }
    )
    if _white(data.images.max()) == 1 and (share := np.count_nonzero(data.images >= 1) / n_values) > 0.001:
        click.echo(f"{share:.1%} of all values are overexposed: how bright they were is not known.")
    if width * height > 2e6:
        factor = math.ceil(math.sqrt(width * height / 1e6))
        click.echo(f"Fitting is faster with smaller photographs: --downscale {factor}")
    if sheet is not None:
        display = _plotting().ContactSheetDisplay.from_predictions(
            data.images, data.lights, n_images=None, white=_white(data.images)
        )
        _save_figure(display.figure_, sheet)
    _suggest("fit", capture, "-o", f"{_name_of(capture)}.relight", options=options)


@main.command()
@_capture
@_output("The model to write, such as coin.relight.", required=True)
@_max_time
@click.option(
    "--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True, help="Seed of the random numbers."
)
def fit(capture, output, overwrite, max_time, seed, **options):
    """Fit a model to CAPTURE, and save it.

    The file holds no code and can be given to others. Some photographs are held out at first, to tell how well the
    model predicts light that it has not seen.
    """
    _check_output(output, overwrite)
    data = _load(capture, options)
    start = time.perf_counter()
    relighter = sklrelight.make_relighter(max_time=max_time, random_state=seed, verbose=1)
    relighter.fit(data.lights, data.images, pixel_weight=data.get("mask"))
    sklrelight.save_model(relighter, output)
    _tell_written(output, f"{output.stat().st_size / 1e6:.1f} MB, fitted in {time.perf_counter() - start:.0f} s")
    error = relighter.regressor_.held_out_error_
    if error is None:
        click.echo("There are too few photographs to hold some out, so it is not known how good the model is.")
    else:
        words = next(words for most, words in _ERRORS_IN_WORDS if error <= most)
        click.echo(
            f"Photographs that the model had not seen yet were predicted with an error of {error:.1%} of their"
            f" brightness on a screen: {words}."
        )
    _suggest("page", output, "-o", output.with_suffix(".html"))


@main.command()
@_model
@click.option(
    "--light",
    "lights",
    type=float,
    nargs=3,
    multiple=True,
    metavar="X Y Z",
    help="Direction to a light: X to the right, Y to the top of the image, Z to the camera. Several lights can be"
    " given.",
)
@click.option(
    "--azimuth",
    "azimuths",
    type=float,
    multiple=True,
    metavar="DEGREES",
    help="Direction of a light around the object: 0 from the right, 90 from the top of the image, 180 from the left.",
)
@click.option(
    "--elevation",
    "elevations",
    type=click.FloatRange(-90, 90),
    multiple=True,
    metavar="DEGREES",
    help="Its height: 0 grazes the object, 90 is where the camera is.",
)
@click.option(
    "--intensity",
    "intensities",
    type=click.FloatRange(0),
    multiple=True,
    metavar="NUMBER",
    help="Brightness of each light, 1 by default.",
)
@_environment
@click.option(
    "--rotation", type=float, default=0.0, metavar="DEGREES", help="Angle by which to turn the panorama to the right."
)
@_exposure
@_output("The image to write (.png, .jpg, .tif, .exr, .hdr), or a folder for one image for each light.", required=True)
def relight(
    model,
    lights,
    azimuths,
    elevations,
    intensities,
    environment,
    n_lights,
    rotation,
    exposure,
    output,
    overwrite,
):
    r"""Show MODEL under other lights.

    Several lights shine together. If the output is a folder, there is an image for each of them.

    \b
      sklrelight relight coin.relight --light 0.5 0.5 0.7 -o upper_right.png
      sklrelight relight coin.relight --azimuth 180 --elevation 20 -o from_the_left.png
      sklrelight relight coin.relight --environment church.hdr -o in_the_church.png
    """
    if [bool(lights), bool(azimuths or elevations), environment is not None].count(True) != 1:
        raise click.UsageError("Give the light by --light, by --azimuth and --elevation, or by --environment.")
    one_each = _is_folder(output)
    if one_each and (environment is not None or intensities):
        raise click.UsageError("A folder gets an image for each light: --environment and --intensity need a file.")
    _check_output(output, overwrite)
    relighter = _load_model(model)
    white = _white_of(relighter)
    if environment is not None:
        (mixture,) = _mixtures(relighter, environment, n_lights, [rotation])
        images = [relighter.relight(*mixture)]
        white = sklrelight.metrics.display_white(images[0])
    else:
        given = np.array(lights) if lights else _directions(relighter, azimuths, elevations)
        given = _check_lights(relighter, given)
        if one_each:
            images = relighter.iter_predict(given)
        else:
            images = [relighter.relight(given, _check_intensities(intensities, len(given)))]
    if one_each:
        _write_folder(output, images, len(given), "light", white, exposure)
        _tell_written(output, f"{len(given)} images")
    else:
        _save_image(output, images[0], white, exposure)
        _tell_written(output)
    _suggest("page", model, "-o", model.with_suffix(".html"))


@main.command()
@_model
@_output("The page to write, such as coin.html; with --zoom, a folder.", required=True)
@click.option("--title", help="Heading of the page; by default the name of the model.")
@click.option("--zoom", is_flag=True, help="Write a folder with all pixels of a large image, loaded as they are seen.")
@click.option("--pixel-size", type=float, metavar="MM", help="Side of a pixel on the object; with --zoom.")
def page(model, output, overwrite, title, zoom, pixel_size):
    """Write a page on which the light can be moved.

    It is a single file that any browser opens, without a network. It can be sent by mail or put on a web site. With
    --zoom it is a folder, whose index.html is opened.
    """
    if pixel_size is not None and not zoom:
        raise click.UsageError("--pixel-size is for a page with --zoom.")
    _check_output(output, overwrite)
    relighter = _load_model(model)
    options = {"title": title or model.stem, "white": _white_of(relighter), "verbose": 1}
    if zoom:
        sklrelight.viewer.export_page(relighter, output, pixel_size=pixel_size, **options)
        _tell_written(output)
        click.echo(f"Open {output / 'index.html'} in a browser, and drag the light over the image.")
        return
    decoder = sklrelight.viewer.export_html(relighter, output, **options)
    difference = 10 ** (-decoder.psnr / 20)
    _tell_written(output, f"{output.stat().st_size / 1e6:.1f} MB, differs from the model by {difference:.1%}")
    click.echo("Open it in a browser, and drag the light over the image.")
    _suggest("video", model, "-o", model.with_suffix(".mp4"))


@main.command()
@_model
@click.option(
    "-o", "--output", type=_PATH, metavar="FOLDER", required=True, help="The folder to write, such as coin_web."
)
@click.option(
    "--layout",
    type=click.Choice(["image", "deepzoom"]),
    default="image",
    show_default=True,
    help="Whole images, or tiles of several resolutions for photographs of more than 4096 pixels.",
)
@click.option("--title", help="Title of the page; by default the name of the model.")
def openlime(model, output, layout, title):
    """Write a folder for OpenLIME, the viewer of museums.

    Put OpenLIME's file openlime.min.js into the folder, and the folder on a web site.
    """
    _check_output(output, overwrite=False)
    relighter = _load_model(model)
    shown = sklrelight.viewer.export_openlime(
        relighter, output, layout=layout, title=title or model.stem, white=_white_of(relighter), verbose=1
    )
    size = sum(path.stat().st_size for path in output.rglob("*"))
    _tell_written(output, f"{size / 1e6:.1f} MB, differs from the model by {10 ** (-shown.psnr / 20):.1%}")
    click.echo(f"To see it here: cd {shlex.quote(str(output))}; python -m http.server; and open http://localhost:8000")


@main.command()
@_model
@click.option("--path", type=click.Choice(["circle"]), default="circle", show_default=True, help="How the light moves.")
@click.option(
    "--elevation",
    type=click.FloatRange(-90, 90),
    default=45.0,
    show_default=True,
    metavar="DEGREES",
    help="Height of the light: 0 grazes the object, 90 is where the camera is.",
)
@_environment
@click.option("--frames", type=click.IntRange(1), metavar="N", default=96, show_default=True, help="Number of images.")
@click.option(
    "--fps", type=click.FloatRange(1), metavar="N", default=24.0, show_default=True, help="Images in a second."
)
@_exposure
@_output("The video to write (.mp4), or a folder for its images as PNG files.", required=True)
def video(model, path, elevation, environment, n_lights, frames, fps, exposure, output, overwrite):
    """Write a video in which the light goes round.

    A light goes round the object once, or a panorama turns around it.

    A video needs the package imageio-ffmpeg: pip install 'sklrelight[video]'. A folder of images does without.
    """
    if not _is_folder(output) and output.suffix.lower() != ".mp4":
        raise click.UsageError(f"{output} is no video: give a name that ends in .mp4, or a folder for the images.")
    _check_output(output, overwrite)
    ffmpeg = None
    if not _is_folder(output):
        ffmpeg = import_extra("imageio_ffmpeg", "video", "To write a video").get_ffmpeg_exe()
    relighter = _load_model(model)
    white = _white_of(relighter)
    turns = np.arange(frames) * (360 / frames)
    if environment is None:
        images = relighter.iter_predict(_directions(relighter, turns, [elevation]))
    else:
        mixtures = _mixtures(relighter, environment, n_lights, turns)
        images = (relighter.relight(*mixture) for mixture in mixtures)
        # All images are as bright as the first one, which is therefore predicted twice.
        white = sklrelight.metrics.display_white(relighter.relight(*mixtures[0]))
    if ffmpeg is None:
        _write_folder(output, images, frames, "frame", white, exposure)
        _tell_written(output, f"{frames} images")
    else:
        with tempfile.TemporaryDirectory() as folder, replacing(output) as temporary:
            _write_folder(Path(folder, "frames"), images, frames, "frame", white, exposure)
            _encode_video(ffmpeg, Path(folder, "frames"), fps, temporary)
        _tell_written(output, f"{frames / fps:.1f} s")
    _suggest("page", model, "-o", model.with_suffix(".html"))


@main.command()
@_capture
@_max_time
@click.option(
    "--every",
    type=click.IntRange(2),
    default=5,
    show_default=True,
    metavar="N",
    help="Hold one photograph in N out.",
)
@_output("The image to write: predicted, original and difference. By default NAME_evaluation.png.")
def evaluate(capture, max_time, every, output, overwrite, **options):
    """Compare models on held-out photographs.

    Each model is fitted to the other photographs, and predicts the held-out ones.
    """
    output = Path(f"{_name_of(capture)}_evaluation.png") if output is None else output
    _check_output(output, overwrite)
    plotting = _plotting()
    data = _load(capture, options)
    held_out = np.arange(len(data.lights)) % every == every // 2
    if not 2 <= np.count_nonzero(~held_out) < len(held_out):
        raise ValueError(f"{len(held_out)} photographs are too few to hold one in {every} out: give a smaller --every")
    white = _white(data.images)
    original, mask = data.images[held_out], data.get("mask")
    click.echo(f"{len(original)} photographs are held out, {np.count_nonzero(~held_out)} are fitted to.")
    rows = [f"{'model':30}  {'error':>6}  {'PSNR':>7}  {'fitted in':>9}"]
    for name, make in _models(max_time).items():
        start = time.perf_counter()
        try:
            relighter = make().fit(data.lights[~held_out], data.images[~held_out], pixel_weight=mask)
            seconds = time.perf_counter() - start
            predicted = relighter.predict(data.lights[held_out])
        except ValueError as error:
            rows.append(f"{name:30}  not possible: {_on_one_line(error)}")
            continue
        relative = sklrelight.metrics.relative_error(original, predicted, white=white, pixel_weight=mask)
        psnr = sklrelight.metrics.peak_signal_noise_ratio(
            original, predicted, white=white, data_range=1.0, pixel_weight=mask
        )
        rows.append(f"{name:30}  {relative:6.1%}  {psnr:4.1f} dB  {seconds:7.1f} s")
        if name == "sklrelight":
            shown = predicted
    click.echo("\n".join(rows))
    click.echo("error: root mean square, relative to the brightness on a screen. PSNR: the higher, the better.")
    errors = [sklrelight.metrics.relative_error(*pair, white=white) for pair in zip(original, shown, strict=True)]
    typical = np.argsort(errors)[len(errors) // 2]
    display = plotting.RelightingDisplay.from_predictions(original[typical], shown[typical], white=white)
    _save_figure(display.figure_, output)
    _suggest("fit", capture, "-o", f"{_name_of(capture)}.relight", options=options)


@main.command()
@click.argument("capture", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--sphere",
    type=float,
    nargs=3,
    metavar="X Y R",
    help="Outline of the ball in pixels: column and row of its middle, counted from the top left, and its radius.",
)
@click.option("--find-sphere", is_flag=True, help="Look for the ball: a circle with a highlight that moves.")
@_output("The .lp file to write; by default lights.lp in CAPTURE.")
def lights(capture, sphere, find_sphere, output, overwrite):
    """Find where the lights are by a mirror ball.

    CAPTURE is a folder of photographs in which the same mirror ball is seen. The lights are written as an .lp file,
    which the other commands and RTI software read.
    """
    if (sphere is not None) == find_sphere:
        raise click.UsageError(
            "Give the outline of the ball by --sphere X Y R, or have it looked for by --find-sphere."
        )
    output = capture / "lights.lp" if output is None else output
    _check_output(output, overwrite)
    formats = sklrelight.datasets._formats
    paths = formats.matching.list_photographs(capture)
    if not paths:
        raise ValueError(f"{capture} holds no photographs")

    def load(**options):
        unknown = np.ones((len(paths), 3))
        return formats.photographs.load_photographs(
            capture, paths, unknown, source=str(capture), progress=True, **options
        ).images

    height, width = sklrelight.datasets.load_image(paths[0]).shape[:2]
    if find_sphere:
        n = max(1, max(height, width) // _LOOKED_AT)
        column, row, radius = sklrelight.datasets.find_sphere(load(downscale=n))
        # From the corner of the first pixel to its middle.
        sphere = (column + 0.5) * n - 0.5, (row + 0.5) * n - 0.5, radius * n
    images, corner = _cut(load, sphere, (height, width))
    if find_sphere:
        if n > 1:
            sphere = np.add(sklrelight.datasets.find_sphere(images), corner)
        click.echo("Found the ball: --sphere {:.1f} {:.1f} {:.1f}".format(*sphere))
    found = sklrelight.datasets.lights_from_sphere(images, np.subtract(sphere, corner))
    sklrelight.datasets.write_lp(output, [path.name for path in paths], found)
    _tell_written(output, f"{len(found)} lights: {_describe_lights(found)}")
    others = [path for path in capture.glob("*.lp") if path != output]
    _suggest("info", capture, *(["--light-file", output] if others or output.parent != capture else []))


def _cut(load, sphere, shape):
    """Load the part of photographs of `shape` around a circle; return it, and the column and row where it begins."""
    (column, row, radius), (height, width) = sphere, shape
    if not (radius > 0 and radius <= column + 0.5 <= width - radius and radius <= row + 0.5 <= height - radius):
        raise ValueError(
            f"the ball at {column:.1f} {row:.1f} with radius {radius:.1f} is not within the photographs, which are"
            f" {width} x {height} pixels"
        )
    margin = 1.3 * radius
    top, left = max(0, int(row - margin)), max(0, int(column - margin))
    bottom, right = min(height, math.ceil(row + margin)), min(width, math.ceil(column + margin))
    return load(crop=(top, bottom, left, right)), (left, top, 0)


def _models(max_time):
    """Models to compare, by name, as functions that make them."""
    models = sklrelight.interpolation
    others = {
        "nearest photograph": models.NearestPhotograph,
        "linear interpolation": models.LinearInterpolation,
        "radial basis functions (RBF)": models.RBFInterpolation,
        "polynomial texture map (PTM)": models.PolynomialTextureMap,
        "hemispherical harmonics (HSH)": models.HemisphericalHarmonics,
    }
    return {
        "sklrelight": lambda: sklrelight.make_relighter(max_time=max_time, random_state=0, verbose=1),
        **{name: lambda model=model: sklrelight.Relighter(model()) for name, model in others.items()},
    }


def _load(path, options):
    given = {name: value for name, value in options.items() if value is not None}
    for name in ("mask", "light_file"):
        # A path as the terminal completes it; else one in the capture's folder.
        if name in given and Path(given[name]).exists():
            given[name] = Path(given[name]).resolve()
    return sklrelight.datasets.load_capture(path, progress=True, **given)


def _check_output(path, overwrite):
    """Refuse, before any work is done, an output that cannot be written or that would replace something."""
    if not path.parent.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {path.parent}")
    if path.is_dir():
        if any(path.iterdir()):
            raise ValueError(f"{path} is a folder with files in it, which stay as they are: give another name")
    elif path.exists() and not overwrite:
        raise ValueError(f"{path} is there already: give another name, or add --overwrite to replace it")


def _is_folder(path):
    return path.is_dir() or not path.suffix


def _name_of(capture):
    return capture.stem if capture.is_file() else capture.resolve().name


def _table(rows):
    for name, text in rows.items():
        if text is not None:
            click.echo(f"{name:12} {text}")


def _describe_values(data):
    if "bit_depth" not in data:
        return str(data.images.dtype)
    read = {"srgb": "read by the sRGB curve", "linear": "proportional to light"}
    decode = data.get("decode")
    return f"{data.bit_depth} bits, {read.get(decode, f'read by the power {decode}')}"


def _describe_lights(lights, lengths=None):
    norms = np.linalg.norm(lights, axis=1)
    if lights.shape[1] == 3 and np.allclose(norms, 1, atol=1e-2):
        elevations = np.degrees(np.arcsin(np.clip(lights[:, 2] / norms, -1, 1)))
        text = f"directions, {elevations.min():.0f} to {elevations.max():.0f} degrees above the object"
        if lengths is not None and not np.allclose(lengths, 1, atol=0.05):
            text += f"; their file has lengths of {min(lengths):.3g} to {max(lengths):.3g}, which are not used"
        return text
    return f"{lights.shape[1]} numbers for each light, from {lights.min():.3g} to {lights.max():.3g}"


def _white(images):
    """Radiance to show as white: the largest value of integers, which loaders make 1, or that of float photographs."""
    return 1.0 if np.max(images) <= 1 else sklrelight.metrics.display_white(images)


def _load_model(model):
    """Load a model, and tell who brings a file of RTI software that the commands do not take."""
    if model.suffix.lower() in (".ptm", ".rti", ".hsh"):
        raise ValueError(
            f"{model}: a file of RTI software, and this command takes a model that `sklrelight fit` wrote; in Python,"
            " sklrelight.viewer.load_ptm and load_hsh read such files, and export_html makes a page of them"
        )
    return sklrelight.load_model(model)


def _white_of(relighter):
    """Radiance to show as white, as far as the encoding of the photographs tells it."""
    scaler = relighter.transformer_
    if scaler.data_max_ <= 1:
        return 1.0
    return scaler.data_min_ + (scaler.data_max_ - scaler.data_min_) / 2.0**scaler.exposure_


def _check_lights(relighter, lights):
    """Refuse lights of another kind than the model's, and make directions of length 1."""
    known = np.asarray(relighter.lights_)
    if lights.shape[1] != known.shape[1]:
        raise ValueError(
            f"the lights of this model are {known.shape[1]} numbers each, not X Y Z; Relighter.predict takes them, in"
            " Python"
        )
    lengths = np.linalg.norm(lights, axis=1, keepdims=True)
    if not lengths.all():
        raise ValueError("a light at 0 0 0 has no direction")
    return lights / lengths if np.allclose(np.linalg.norm(known, axis=1), 1, atol=1e-2) else lights


def _directions(relighter, azimuths, elevations):
    """Turn angles in degrees into lights, at the distance of the photographed ones."""
    if not len(azimuths) or len(elevations) not in (1, len(azimuths)):
        raise click.UsageError(
            f"Each light has an --azimuth and an --elevation: got {len(azimuths)} and {len(elevations)}."
        )
    surface = sklrelight.viewer.LightSurface.of(relighter.lights_)
    if surface.kind != "dome":
        raise ValueError("the lights of this model are places in a plane, which have no azimuth and elevation")
    turn = np.radians(np.asarray(azimuths, np.float64))
    from_camera = 1 - np.broadcast_to(elevations, turn.shape) / 90
    return surface.to_lights(from_camera[:, None] * np.column_stack([np.cos(turn), np.sin(turn)]))


def _check_intensities(intensities, n_lights):
    if len(intensities) not in (0, n_lights):
        raise click.UsageError(f"{n_lights} lights need {n_lights} times --intensity, got {len(intensities)}.")
    return np.array(intensities or [1.0] * n_lights)


def _mixtures(relighter, path, n_lights, turns):
    """Turn a panorama into lights that the model knows, with their colours: for each angle by which it is turned."""
    known = np.asarray(relighter.lights_)
    surface = sklrelight.viewer.LightSurface.of(known)
    if surface.kind != "dome":
        raise ValueError("the lights of this model are places in a plane, and those of a panorama are directions")
    panorama = sklrelight.datasets.load_image(path)
    if len(relighter.regressor_.target_shape_) == 2 and panorama.ndim == 3:
        panorama = panorama.mean(axis=-1)
    lights, colours = sklrelight.datasets.environment_to_lights(panorama, n_lights)
    mixtures, left_out = [], 0.0
    for turn in np.radians(turns):
        x, y, z = lights.T
        turned = np.column_stack([x * np.cos(turn) - z * np.sin(turn), y, z * np.cos(turn) + x * np.sin(turn)])
        inside = turned[:, 2] >= known[:, 2].min() / surface.radius
        if not inside.any():
            raise ValueError("all light of this panorama comes from where no lamp stood: take more --n-lights")
        mixtures.append((turned[inside] * surface.radius, colours[inside]))
        left_out += colours[~inside].sum() / colours.sum() / len(turns)
    if left_out:
        warnings.warn(
            f"{left_out:.0%} of the panorama's light is left out: it comes from behind the object, or from lower than"
            " any lamp stood",
            stacklevel=2,
        )
    return mixtures


def _save_image(path, image, white, exposure):
    """Write an image; one for display so that `white` becomes white."""
    if path.suffix.lower() not in (".exr", ".hdr"):
        exposure -= math.log2(white)
        clipped = np.mean(image * 2.0**exposure > 1)
        if clipped > 0.01:
            warnings.warn(
                f"{clipped:.0%} of {path.name} is brighter than white, and is cut off: --exposure -1 makes it darker",
                stacklevel=2,
            )
    sklrelight.datasets.save_image(path, image, exposure=exposure)


def _write_folder(folder, images, n_images, name, white, exposure):
    """Write images into a new folder, which appears when it is whole."""
    digits = max(3, len(str(n_images)))
    with replacing(folder) as temporary:
        temporary.mkdir()
        for number, image in enumerate(tqdm(images, "Relighting", n_images, unit=" images"), start=1):
            _save_image(temporary / f"{name}_{number:0{digits}}.png", image, white, exposure)


def _encode_video(ffmpeg, folder, fps, path):
    """Encode PNG files so that every player shows them, in the colours that they have."""
    digits = len(next(folder.iterdir()).stem.split("_")[1])
    command = [
        *(ffmpeg, "-loglevel", "error", "-framerate", f"{fps:g}", "-i", folder / f"frame_%0{digits}d.png"),
        # Players want even sizes, and take the colours of untagged videos for others.
        *("-vf", "crop=trunc(iw/2)*2:trunc(ih/2)*2,scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"),
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1", "-color_range", "tv"),
        *("-c:v", "libx264", "-crf", "18", "-movflags", "+faststart", "-y", path),
    ]
    run = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if run.returncode:
        raise ValueError(f"ffmpeg cannot write the video: {run.stderr or f'it ended with code {run.returncode}'}")


def _plotting():
    """Return the room of plots, which draws into files, not on a screen."""
    import_extra("matplotlib", "plot", "To draw").use("agg")
    return sklrelight.plotting


def _save_figure(figure, path):
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
    _tell_written(path)


def _tell_written(path, about=""):
    click.echo(f"Wrote {path}{f' ({about})' if about else ''}.")


def _suggest(*command, options=None):
    """End with the command that usually comes next, ready to be pasted."""
    for name, value in (options or {}).items():
        if value is not None:
            command += (f"--{name.replace('_', '-')}", *(value if isinstance(value, tuple) else (value,)))
    click.echo(f"\nNext: sklrelight {shlex.join(map(str, command))}")
