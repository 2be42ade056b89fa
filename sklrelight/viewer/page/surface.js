// The dome or plane on which the lights lie. A point is [right, up]; see LightSurface in sklrelight/viewer/_surface.py.
const clampTo = (value, low, high) => Math.min(high, Math.max(low, value));

class Surface {
  constructor(scene) {
    Object.assign(this, scene.surface);
    this.isDome = this.kind === "dome";
    this.nodes = floatsOf(scene.nodes);
    this.weights = floatsOf(scene.weights);
    this.channels = scene.channels;
    // How far the control reaches to the right and up.
    const reach = (axis) => Math.max(...this.hull.map((point) => Math.abs(point[axis])));
    const radius = Math.max(1, ...this.hull.map((point) => Math.hypot(...point)));
    this.extent = this.isDome ? [radius, radius] : [reach(0) || 1, reach(1)];
    this.size = Math.max(...this.extent);
    this.isLine = !this.isDome && this.extent[1] < 1e-9;
  }

  // Position of a point between which distances are measured.
  node([x, y]) {
    if (!this.isDome) return [x, y];
    const length = Math.hypot(x, y), angle = length * Math.PI / 2;
    const across = Math.sin(angle) / (length || 1);
    return [x * across, y * across, Math.cos(angle)];
  }

  // Factors of the constant and of each code, for red, green and blue.
  factors(point) {
    const at = this.node(point), axes = at.length, n = this.nodes.length / axes;
    const width = this.weights.length / (n + 1 + axes);
    const sums = new Float64Array(width);
    const add = (row, factor) => {
      for (let i = 0; i < width; i++) sums[i] += factor * this.weights[row * width + i];
    };
    for (let row = 0; row < n; row++) {
      let square = 0;
      for (let axis = 0; axis < axes; axis++) square += (at[axis] - this.nodes[row * axes + axis]) ** 2;
      if (square > 0) add(row, square * Math.log(square) / 2);
    }
    add(n, 1);
    at.forEach((coordinate, axis) => add(n + 1 + axis, coordinate));
    if (this.channels === 3) return Float32Array.from(sums);
    return Float32Array.from({ length: 3 * width }, (_, i) => sums[Math.floor(i / 3)]);
  }

  // The nearest point within the hull of the photographs' lights: the model knows nothing beyond it.
  within(point) {
    const corners = this.hull;
    let inside = corners.length > 2, best = null, least = Infinity;
    for (let i = 0; i < corners.length; i++) {
      const [ax, ay] = corners[i], [bx, by] = corners[(i + 1) % corners.length];
      const ex = bx - ax, ey = by - ay, px = point[0] - ax, py = point[1] - ay;
      if (ex * py - ey * px < 0) inside = false;
      const share = clampTo((ex * px + ey * py) / (ex * ex + ey * ey || 1), 0, 1);
      const near = [ax + share * ex, ay + share * ey];
      const distance = Math.hypot(point[0] - near[0], point[1] - near[1]);
      if (distance < least) [least, best] = [distance, near];
    }
    return inside ? [...point] : best;
  }

  // The light itself, in the units of the capture.
  light([x, y]) {
    if (this.isDome) return this.node([x, y]).map((value) => this.radius * value);
    return this.center.map((value, i) => value + x * this.axes[0][i] + y * this.axes[1][i]);
  }

  // Unit vector from the object to the light; of positions, from the origin.
  direction(point) {
    const light = this.light(point);
    return light.length === 3 ? light.map((value) => value / (Math.hypot(...light) || 1)) : [0, 0, 1];
  }

  // Degrees on a dome; on a plane, the unit of the lights.
  distance(a, b) {
    const [p, q] = this.isDome ? [this.node(a), this.node(b)] : [this.light(a), this.light(b)];
    const apart = Math.hypot(...p.map((value, i) => value - q[i]));
    return this.isDome ? 2 * Math.asin(Math.min(1, apart / 2)) * 180 / Math.PI : apart;
  }

  // Direction as an angle counterclockwise from the right, and height above the scene, both in degrees.
  angles([x, y]) {
    return [(Math.atan2(y, x) * 180 / Math.PI + 360) % 360, 90 - 90 * Math.hypot(x, y)];
  }

  fromAngles(direction, height) {
    const radius = (90 - height) / 90, angle = direction * Math.PI / 180;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  }

  side(point) {
    const sides = ["right", "upper right", "top", "upper left", "left", "lower left", "bottom", "lower right"];
    return sides[Math.round(this.angles(point)[0] / 45) % 8];
  }

  describe(point) {
    if (!this.isDome) {
      const names = this.center.length <= 3 ? ["x ", "y ", "z "] : [];
      return `at ${this.light(point).map((value, i) => (names[i] ?? "") + inWords(value)).join(", ")}`;
    }
    const height = this.angles(point)[1];
    if (height > 85) return "straight from the camera";
    return `from the ${this.side(point)}, ${height < 0 ? "behind the scene" : `${Math.round(height)}° above the scene`}`;
  }

  // The two sliders: their names, limits and steps.
  get sliders() {
    if (this.isDome) {
      const lowest = 90 - 90 * Math.max(...this.hull.map((point) => Math.hypot(...point)));
      return [
        { name: "Direction", min: 0, max: 359, step: 1 },
        { name: "Height", min: Math.floor(lowest), max: 90, step: 1 },
      ];
    }
    return ["Left to right", "Down to up"].map((name, axis) =>
      ({ name, min: -this.extent[axis], max: this.extent[axis], step: this.size / 200 }));
  }

  // What the sliders show for a point: their values, and words.
  readings(point) {
    if (this.isDome) {
      const [direction, height] = this.angles(point).map(Math.round);
      return [[direction % 360, `${direction % 360}°, ${this.side(point)}`], [height, `${height}°`]];
    }
    return point.map((value, axis) => {
      const share = Math.round(100 * value / (this.extent[axis] || 1));
      return [value, `${share > 0 ? "+" : ""}${share} %`.replace("-", "\u2212")];
    });
  }

  fromSliders(first, second) {
    return this.isDome ? this.fromAngles(first, second) : [first, second];
  }

  describeDistance(a, b) {
    const distance = this.distance(a, b);
    if (this.isDome) return `${distance < 10 ? distance.toFixed(1) : Math.round(distance)}°`;
    return inWords(distance);
  }
}

function inWords(value) {
  return String(Number(value.toPrecision(3))).replace("-", "\u2212");
}
