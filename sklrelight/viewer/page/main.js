// The page: shows the state, and changes it as the user asks.
const byId = (id) => document.getElementById(id);
const scene = JSON.parse(byId("scene").textContent);

// Where the browser cannot draw, the page keeps showing the still image that it came with.
function stayStill(reason) {
  document.body.classList.add("still-only");
  byId("image").hidden = true;
  byId("still").hidden = false;
  byId("message").textContent = `${reason} The light cannot be moved here. This is the scene under one light.`;
  byId("message").hidden = false;
}

async function start() {
  const canvas = byId("image");
  // Checked before anything is unpacked, because it is missing most often.
  if (!document.createElement("canvas").getContext("webgl2"))
    return stayStill("This browser or its graphics card does not draw with WebGL2.");
  if (typeof DecompressionStream === "undefined") return stayStill("This browser is too old to unpack the image.");
  try {
    const renderer = new Renderer(canvas, scene);
    run(canvas, renderer, await openSource(scene, renderer), new Surface(scene));
  } catch (error) {
    stayStill(`This browser cannot draw the image (${error.message}).`);
  }
}

// Sliders of the enhancement, and the strength of each at 100 %.
const ENHANCEMENTS = { diffuse: 3, specular: 1, unsharp: 4, normals: 1 };

function run(canvas, renderer, source, surface) {
  const begin = () => {
    const first = surface.within(scene.start);
    const lights = [first, surface.within(first.map((value) => -value))];
    return {
      lights: lights.map((point) => ({ point, hex: "#ffffff" })),
      active: 0, two: false, exposure: 0, compare: false, split: 50, panning: false, nearest: null,
      enhancement: { diffuse: 0, specular: 0, unsharp: 0, normals: 0 },
    };
  };
  let state = begin();
  const dome = new Dome(byId("dome"), surface);
  const view = new View(byId("stage"), canvas, [scene.width, scene.height], () => refresh());
  // Directions are told and drawn as they are seen, when the image is turned.
  const asSeen = (point) => (surface.isDome ? turned(point, view.turn) : point);
  const fromSeen = (point) => (surface.isDome ? turned(point, -view.turn) : point);
  const colorOf = (hex) => [1, 3, 5].map((i) => (parseInt(hex.slice(i, i + 2), 16) / 255) ** scene.gamma);
  const shining = () => state.lights.slice(0, state.two ? 2 : 1);
  let wanted = false, resting = null, keeping = null;

  function draw() {
    wanted = false;
    const lights = shining().map(({ point, hex }) => ({
      factors: surface.factors(point), color: colorOf(hex), direction: surface.direction(point),
    }));
    const shown = source.show(view);
    const column = state.compare ? Math.round(scene.width * state.split / 100) : shown.width;
    const strengths = Object.entries(ENHANCEMENTS).map(([id, most]) => most * state.enhancement[id] / 100);
    renderer.draw(shown, lights, state.exposure, column, strengths);
    view.window = shown;
    view.place();
  }

  // Everything on the page follows from the state.
  function refresh() {
    if (!wanted) requestAnimationFrame(draw);
    wanted = true;
    const { point, hex } = state.lights[state.active];
    choosePhotograph(point);
    dome.show(shining(), state.active, state.compare && state.nearest ? state.nearest.point : null);
    surface.readings(asSeen(point)).forEach(([value, words], i) => {
      byId(["first", "second"][i]).value = value;
      byId(["first", "second"][i]).setAttribute("aria-valuetext", words);
      byId(["first-value", "second-value"][i]).textContent = words;
    });
    const name = state.two ? ["First light ", "Second light "][state.active] : "Light ";
    const where = name + surface.describe(asSeen(point));
    byId("where").textContent = where;
    clearTimeout(resting);
    resting = setTimeout(() => { if (byId("spoken").textContent !== where) byId("spoken").textContent = where; }, 500);
    byId("which").hidden = !state.two;
    byId("two").checked = state.two;
    document.getElementsByName("which").forEach((radio, i) => { radio.checked = i === state.active; });
    byId("color").value = hex;
    byId("exposure").value = state.exposure;
    const stops = `${state.exposure > 0 ? "+" : ""}${state.exposure.toFixed(1).replace("-", "\u2212")} stops`;
    byId("exposure-value").textContent = stops;
    byId("exposure").setAttribute("aria-valuetext", stops);
    byId("compare").checked = state.compare;
    byId("comparison").hidden = !state.compare;
    byId("split").value = state.split;
    byId("split-value").textContent = `${state.split} %`;
    for (const [id, percent] of Object.entries(state.enhancement)) {
      byId(id).value = percent;
      byId(`${id}-value`).textContent = `${percent} %`;
    }
    byId("zoom").textContent = `${Math.round(100 * view.zoom)}\u202f%`;
    byId("pan").setAttribute("aria-pressed", state.panning);
    // The line beside a photograph is upright.
    byId("turn").disabled = state.compare;
    byId("dome").style.transform = `rotate(${90 * view.turn}deg)`;
    const bar = barOf();
    byId("bar").hidden = !bar;
    if (bar) {
      byId("bar").style.width = `${bar.width}px`;
      byId("bar").textContent = bar.label;
      byId("bar").setAttribute("aria-label", `Scale bar: ${bar.label}`);
    }
    clearTimeout(keeping);
    keeping = setTimeout(() => writeAddress(state.lights[0].point, view), 400);
    canvas.classList.toggle("panning", state.panning);
    byId("divider").hidden = !state.compare;
    byId("divider").style.left = `${view.corner[0] + scene.width * view.scale * state.split / 100 - 1}px`;
  }

  const barOf = () => (scene.pixelSize ? scaleBar(scene.pixelSize / view.scale, Math.min(160, view.box[0] / 3)) : null);

  function goToAddress() {
    const { light, zoom, at, turn } = readAddress();
    if (light) state.lights[0].point = surface.within(light);
    if (turn !== undefined) view.turn = turn & 3;
    if (zoom) view.zoomBy(zoom / view.zoom);
    if (at) view.center = at;
    view.update();
  }

  function choosePhotograph(point) {
    if (!state.compare) return;
    const distances = scene.photographs.map((photograph) => surface.distance(photograph.point, point));
    const nearest = scene.photographs[distances.indexOf(Math.min(...distances))];
    const apart = surface.describeDistance(nearest.point, point);
    const one = state.two ? " It was taken under one light." : "";
    byId("nearest").textContent = `Photograph ${nearest.number}, the nearest. Its light is ${apart} away.${one}`;
    if (nearest === state.nearest) return;
    state.nearest = nearest;
    const image = new Image();
    image.src = nearest.source;
    image.decode().then(() => {
      // The light may have moved on meanwhile.
      if (state.nearest !== nearest) return;
      renderer.setPhotograph(image);
      refresh();
    }, () => {});
  }

  function moveTo(point, which = state.active) {
    state.lights[which].point = surface.within(point);
    refresh();
  }

  function drag(element, pointAt) {
    element.addEventListener("pointermove", (event) => {
      if (event.buttons === 1 && element.hasPointerCapture(event.pointerId)) moveTo(pointAt(event));
    });
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      moveTo(pointAt(event));
    });
  }
  drag(byId("dome"), (event) => turned(dome.pointAt(event), -view.turn));
  handleStage(canvas, view, {
    isPanning: () => state.panning,
    moveLight: (event) => moveTo(view.pointAt(event, surface.extent, surface.isDome)),
  });

  const frame = document.querySelector(".stage-frame");
  for (const element of [canvas, byId("dome")]) {
    element.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] }[event.key];
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (steps) {
        const length = surface.size * (event.shiftKey ? 0.2 : 0.04);
        const step = turned(steps, -view.turn);
        moveTo(state.lights[state.active].point.map((value, i) => value + length * step[i]));
      } else if (element !== canvas) return;
      else if (event.key === "+" || event.key === "=") view.zoomBy(1.25);
      else if (event.key === "-") view.zoomBy(0.8);
      else if (event.key === "0") view.reset();
      else if (event.key === "r" && !state.compare) view.turnOn();
      else if (event.key === "f" && document.fullscreenEnabled) toggleFullScreen(frame);
      else return;
      event.preventDefault();
    });
  }

  const on = (id, kind, action) => byId(id).addEventListener(kind, (event) => { action(event.target); refresh(); });
  for (const id of ["first", "second"])
    on(id, "input", () => { moveTo(fromSeen(surface.fromSliders(byId("first").valueAsNumber, byId("second").valueAsNumber))); });
  on("color", "input", (input) => { state.lights[state.active].hex = input.value; });
  on("two", "change", (input) => { state.two = input.checked; state.active = input.checked ? 1 : 0; });
  document.getElementsByName("which").forEach((radio) =>
    radio.addEventListener("change", () => { state.active = Number(radio.value); refresh(); }));
  on("exposure", "input", (input) => { state.exposure = input.valueAsNumber; });
  on("compare", "change", (input) => {
    state.compare = input.checked;
    if (state.compare && view.turn) view.reset();
  });
  on("split", "input", (input) => { state.split = input.valueAsNumber; });
  for (const id of Object.keys(ENHANCEMENTS)) on(id, "input", (input) => { state.enhancement[id] = input.valueAsNumber; });
  on("same-light", "click", () => { state.lights[state.active].point = surface.within(state.nearest.point); });
  on("zoom-in", "click", () => view.zoomBy(1.5));
  on("zoom-out", "click", () => view.zoomBy(1 / 1.5));
  on("zoom-fit", "click", () => view.reset());
  on("turn", "click", () => view.turnOn());
  on("full-screen", "click", () => toggleFullScreen(frame));
  on("save", "click", () => { draw(); saveSeen(view, document.title, barOf()); });
  on("pan", "click", () => { state.panning = !state.panning; });
  byId("reset").addEventListener("click", (event) => {
    event.preventDefault();
    state = begin();
    view.reset();
  });
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());

  surface.sliders.forEach((slider, i) => {
    const input = byId(["first", "second"][i]);
    byId(["first-name", "second-name"][i]).textContent = slider.name;
    for (const limit of ["min", "max", "step"]) input[limit] = slider[limit];
  });
  byId("second-row").hidden = surface.isLine;
  byId("dome").setAttribute("aria-label", surface.isDome
    ? "Dome of lights, seen from the camera: drag or use the arrow keys to move the light"
    : "Plane of lights: drag or use the arrow keys to move the light");
  byId("compare-row").hidden = !scene.photographs.length;
  if (scene.normals) {
    const image = new Image();
    image.src = scene.normals;
    image.decode().then(() => {
      renderer.setNormals(image);
      byId("enhancement").hidden = false;
      refresh();
    }, () => {});
  }
  byId("about").textContent = scene.about;
  document.documentElement.style.setProperty("--fitting", `${100 * scene.height / scene.width}vw`);
  byId("full-screen").hidden = !document.fullscreenEnabled;
  document.addEventListener("fullscreenchange", () =>
    byId("full-screen").setAttribute("aria-pressed", Boolean(document.fullscreenElement)));
  renderer.onrestored = () => {
    source.restore();
    refresh();
  };
  source.onloaded = refresh;
  source.onlost = () => {
    byId("message").textContent = "Parts of the image could not be loaded. They are shown less sharp.";
    byId("message").hidden = false;
    refresh();
  };
  byId("still").hidden = true;
  canvas.hidden = false;
  goToAddress();
  window.addEventListener("hashchange", goToAddress);
  draw();

  // For scripts of the page's owner; described in docs/viewer.md.
  window.relightViewer = {
    get point() { return [...state.lights[state.active].point]; },
    get light() { return surface.light(state.lights[state.active].point); },
    moveTo,
    // Whether all that is seen has been loaded, and what the canvas shows: left and top in its own pixels, each of which has
    // `step` pixels of the image along a side.
    get complete() { return source.complete; },
    get window() { return (({ left, top, width, height, step }) => ({ left, top, width, height, step }))(view.window); },
    // What the canvas shows, drawn at once, as a data URL of a PNG: the image, or its part that is seen if it has tiles.
    capture() { draw(); return canvas.toDataURL("image/png"); },
  };
}

start();
