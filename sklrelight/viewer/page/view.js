// Place, size and rotation of the image on the stage.
const MOST_SCALE = 8; // CSS pixels for each pixel of the image

class View {
  constructor(stage, canvas, size, onchange) {
    this.stage = stage;
    this.canvas = canvas;
    this.size = size; // width and height of the image
    this.onchange = onchange;
    this.window = { left: 0, top: 0, step: 1 }; // what the canvas shows, see whole.js
    this.zoom = 1;
    this.turn = 0; // quarters clockwise
    this.offset = [0, 0]; // from the middle of the stage to that of the image
    new ResizeObserver(() => this.update()).observe(stage);
  }

  get box() {
    return [this.stage.clientWidth, this.stage.clientHeight];
  }

  get turnedSize() {
    return this.turn % 2 ? [this.size[1], this.size[0]] : this.size;
  }

  // CSS pixels for each pixel of the image: without zoom, and with it.
  get fitting() {
    const [w, h] = this.box, [width, height] = this.turnedSize;
    return Math.min(w / width, h / height);
  }

  get scale() {
    return this.fitting * this.zoom;
  }

  get corner() {
    return this.turnedSize.map((side, i) => this.box[i] / 2 + this.offset[i] - side * this.scale / 2);
  }

  // From the middle of the image, right and down in pixels of the image, to CSS pixels on the stage, and back.
  toStage([x, y]) {
    const [right, up] = turned([x, -y], this.turn);
    return [this.box[0] / 2 + this.offset[0] + right * this.scale, this.box[1] / 2 + this.offset[1] - up * this.scale];
  }

  toImage([x, y]) {
    const across = x - this.box[0] / 2 - this.offset[0], down = y - this.box[1] / 2 - this.offset[1];
    const [right, up] = turned([across / this.scale, -down / this.scale], -this.turn);
    return [right, -up];
  }

  // What is seen of the image: left, top, right and bottom in its pixels.
  get seen() {
    const [a, b] = [this.toImage([0, 0]), this.toImage(this.box)];
    const ends = [Math.min, Math.max].map((end) => this.size.map((side, i) => clampTo(end(a[i], b[i]) + side / 2, 0, side)));
    return ends.flat();
  }

  // What is in the middle of the stage, in shares of the image's width and height.
  get center() {
    return this.toImage(this.box.map((side) => side / 2)).map((at, i) => at / this.size[i] + 0.5);
  }

  set center(shares) {
    this.offset = [0, 0];
    const at = this.toStage(shares.map((share, i) => (share - 0.5) * this.size[i]));
    this.offset = at.map((place, i) => this.box[i] / 2 - place);
  }

  update() {
    const [w, h] = this.box;
    if (!w || !h) return;
    this.offset = this.offset.map((offset, i) => {
      const room = Math.max(0, (this.turnedSize[i] * this.scale - this.box[i]) / 2);
      return clampTo(offset, -room, room);
    });
    this.place();
    this.onchange();
  }

  // Lays the canvas where its part of the image belongs.
  place() {
    const { left, top, step } = this.window, scale = this.scale * step;
    const [x, y] = this.toStage(this.size.map((side) => -side / 2));
    this.canvas.style.transform = `translate(${x}px, ${y}px) rotate(${90 * this.turn}deg) scale(${scale}) translate(${left}px, ${top}px)`;
  }

  // Zoom about a place on the screen, or about the middle of the stage.
  zoomBy(factor, event) {
    const stage = this.stage.getBoundingClientRect();
    const at = event ? [event.clientX - stage.left - stage.width / 2, event.clientY - stage.top - stage.height / 2] : [0, 0];
    // Small images can be enlarged further.
    const zoom = clampTo(this.zoom * factor, 1, Math.max(4, MOST_SCALE / this.fitting));
    this.offset = this.offset.map((offset, i) => at[i] + (offset - at[i]) * zoom / this.zoom);
    this.zoom = zoom;
    this.update();
  }

  moveBy(x, y) {
    this.offset = [this.offset[0] + x, this.offset[1] + y];
    this.update();
  }

  // A quarter clockwise. The middle stays where it is.
  turnOn() {
    const { center } = this;
    this.turn = (this.turn + 1) % 4;
    this.center = center;
    this.update();
  }

  reset() {
    this.zoom = 1;
    this.turn = 0;
    this.offset = [0, 0];
    this.update();
  }

  // Where a pointer is on the visible part of the image: right and up, from -1 to 1 along the shorter side.
  pointAt(event, extent, isDome) {
    const stage = this.stage.getBoundingClientRect();
    const across = event.clientX - stage.left - stage.width / 2, up = stage.top + stage.height / 2 - event.clientY;
    const seen = this.turnedSize.map((side, i) => Math.min(side * this.scale, this.box[i]) / 2);
    const [x, y] = turned([across, up], -this.turn);
    if (isDome) return [x, y].map((value) => value / Math.min(...seen) * extent[0]);
    if (this.turn % 2) seen.reverse();
    return [x / seen[0] * extent[0], y / seen[1] * extent[1]];
  }
}

// A vector to the right and up after so many quarters clockwise; before them, if they are negative.
function turned([x, y], quarters) {
  for (let i = 0; i < (quarters & 3); i++) [x, y] = [y, -x];
  return [x, y];
}
