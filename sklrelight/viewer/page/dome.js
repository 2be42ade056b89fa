// The control on which the light is moved: the surface as an SVG image.
class Dome {
  constructor(svg, surface) {
    this.svg = svg;
    this.surface = surface;
    const { size } = surface;
    if (surface.isDome) {
      this.add("circle", { class: "rim", r: 1 });
    } else {
      const [x, y] = surface.extent.map((side) => side / size + 0.06);
      this.add("rect", { class: "rim", x: -x, y: -y, width: 2 * x, height: 2 * y, rx: 0.04 });
    }
    this.add("polygon", { class: "reach", points: surface.hull.map((point) => this.place(point).join(",")).join(" ") });
    if (surface.isDome)
      for (const height of [0, 30, 60]) this.add("circle", { class: "ring", r: (90 - height) / 90 / size });
    for (const point of surface.points) {
      const [cx, cy] = this.place(point);
      this.add("circle", { class: "taken", cx, cy, r: 0.018 });
    }
    this.nearest = this.add("circle", { class: "nearest", r: 0.06, visibility: "hidden" });
    this.suns = [1, 0].map((i) => this.add("circle", { class: "sun", r: 0.075, "data-light": i })).reverse();
  }

  add(name, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    this.set(element, attributes);
    return this.svg.appendChild(element);
  }

  set(element, attributes) {
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  }

  place([x, y]) {
    return [x / this.surface.size, -y / this.surface.size];
  }

  // The point of the surface under a pointer.
  pointAt(event) {
    const box = this.svg.getBoundingClientRect();
    const half = Math.min(box.width, box.height) / 2 / 1.16;
    const size = this.surface.size / half;
    return [(event.clientX - box.left - box.width / 2) * size, -(event.clientY - box.top - box.height / 2) * size];
  }

  show(lights, active, nearest) {
    this.suns.forEach((sun, i) => {
      if (!lights[i]) return this.set(sun, { visibility: "hidden" });
      const [cx, cy] = this.place(lights[i].point);
      this.set(sun, { cx, cy, visibility: "visible", class: i === active ? "sun" : "sun other", fill: lights[i].hex });
    });
    // The active light is drawn in front of the other.
    this.svg.append(this.suns[active]);
    if (!nearest) return this.set(this.nearest, { visibility: "hidden" });
    const [cx, cy] = this.place(nearest);
    this.set(this.nearest, { cx, cy, visibility: "visible" });
  }
}
