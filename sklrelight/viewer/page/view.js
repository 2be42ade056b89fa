// Place and size of the image on the stage.
class View {
  constructor(stage, canvas, onchange) {
    this.stage = stage;
    this.canvas = canvas;
    this.onchange = onchange;
    this.zoom = 1;
    this.offset = [0, 0]; // from the middle of the stage to that of the image
    new ResizeObserver(() => this.update()).observe(stage);
  }

  get size() {
    return [this.canvas.width, this.canvas.height];
  }

  get box() {
    return [this.stage.clientWidth, this.stage.clientHeight];
  }

  // CSS pixels for each pixel of the image.
  get scale() {
    const [w, h] = this.box, [width, height] = this.size;
    return Math.min(w / width, h / height) * this.zoom;
  }

  get corner() {
    return this.size.map((side, i) => this.box[i] / 2 + this.offset[i] - side * this.scale / 2);
  }

  update() {
    const [w, h] = this.box;
    if (!w || !h) return;
    this.offset = this.offset.map((offset, i) => {
      const room = Math.max(0, (this.size[i] * this.scale - this.box[i]) / 2);
      return clampTo(offset, -room, room);
    });
    const [x, y] = this.corner, scale = this.scale;
    this.canvas.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    this.canvas.style.imageRendering = scale * devicePixelRatio > 4 ? "pixelated" : "auto";
    this.onchange();
  }

  // Zoom about a place on the screen, or about the middle of the stage.
  zoomBy(factor, event) {
    const stage = this.stage.getBoundingClientRect();
    const at = event ? [event.clientX - stage.left - stage.width / 2, event.clientY - stage.top - stage.height / 2] : [0, 0];
    const zoom = clampTo(this.zoom * factor, 1, 32);
    this.offset = this.offset.map((offset, i) => at[i] + (offset - at[i]) * zoom / this.zoom);
    this.zoom = zoom;
    this.update();
  }

  moveBy(x, y) {
    this.offset = [this.offset[0] + x, this.offset[1] + y];
    this.update();
  }

  reset() {
    this.zoom = 1;
    this.offset = [0, 0];
    this.update();
  }

  // Where a pointer is on the visible part of the image: right and up, from -1 to 1 along the shorter side.
  pointAt(event, extent, isDome) {
    const stage = this.stage.getBoundingClientRect();
    const seen = this.size.map((side, i) => Math.min(side * this.scale, this.box[i]) / 2);
    const x = event.clientX - stage.left - stage.width / 2, y = stage.top + stage.height / 2 - event.clientY;
    if (isDome) return [x, y].map((value) => value / Math.min(...seen) * extent[0]);
    return [x / seen[0] * extent[0], y / seen[1] * extent[1]];
  }
}
