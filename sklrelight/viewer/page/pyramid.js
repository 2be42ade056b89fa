// The image in tiles of several sizes, of which those that are seen are loaded. Level 0 has the full size, each further one
// half of that, and the last one tile. Tiles are scripts, because pages on a disk may not fetch files.
const LOADED_AT_ONCE = 6;
const CACHE_BYTES = 256e6;
// The canvas is resized in steps of so many pixels, not with each movement.
const CANVAS_STEP = 64;

class Pyramid {
  constructor(scene, renderer) {
    this.scene = scene;
    this.renderer = renderer;
    this.tiles = new Map(); // by name: the least recently shown first
    this.wanted = [];
    this.loading = new Map();
    this.failed = new Set();
    this.most = Math.max(64, CACHE_BYTES / (4 * scene.layers * scene.tileSize ** 2));
    this.restore();
    window.relightTile = (name, codes) => this.receive(name, codes);
  }

  get complete() {
    return !this.loading.size && !this.wanted.length;
  }

  restore() {
    const { gl } = this.renderer;
    this.tiles.clear();
    this.program = this.renderer.compile(this.scene.shaders.code);
    gl.useProgram(this.program);
    gl.uniform1i(gl.getUniformLocation(this.program, "image"), 3);
    this.renderer.texture(3, gl.TEXTURE_2D);
    this.framebuffer = gl.createFramebuffer();
  }

  sizeOf(level) {
    return [this.scene.width, this.scene.height].map((side) => Math.ceil(side / 2 ** level));
  }

  // What the canvas shows, as in whole.js: the seen part of the level whose pixels are nearest to those of the screen.
  show(view) {
    const { levels, tileSize } = this.scene;
    const level = clampTo(Math.round(-Math.log2(view.scale * devicePixelRatio)), 0, levels - 1);
    const size = this.sizeOf(level), step = 2 ** level, seen = view.seen;
    const low = [0, 1].map((i) => Math.floor((seen[i] / step - 1) / CANVAS_STEP) * CANVAS_STEP);
    const high = [2, 3].map((i) => Math.ceil((seen[i] / step + 1) / CANVAS_STEP) * CANVAS_STEP);
    const [left, top] = low.map((at, i) => clampTo(at, 0, size[i] - 1));
    const [right, bottom] = high.map((at, i) => clampTo(at, 1, size[i]));
    const pieces = [], missing = [];
    for (let row = Math.floor(top / tileSize); row * tileSize < bottom; row++) {
      for (let column = Math.floor(left / tileSize); column * tileSize < right; column++) {
        const [x, y] = [column * tileSize - left, row * tileSize - top];
        const box = [Math.max(0, x), Math.max(0, y), Math.min(right - left, x + tileSize), Math.min(bottom - top, y + tileSize)];
        const piece = this.find(level, row, column, left, top);
        if (piece) pieces.push({ ...piece, box });
        if (piece?.scale === 1) continue;
        const away = Math.hypot(2 * x + tileSize - right + left, 2 * y + tileSize - bottom + top);
        missing.push({ name: `${level}/${row}_${column}`, away });
      }
    }
    missing.sort((a, b) => a.away - b.away);
    this.load(missing.map(({ name }) => name));
    return { left, top, width: right - left, height: bottom - top, step, pieces };
  }

  // The tile, or the smallest loaded one that covers it at a lower resolution.
  find(level, row, column, left, top) {
    for (let up = 0; level + up < this.scene.levels; up++) {
      const [y, x] = [row >> up, column >> up], scale = 2 ** up;
      const name = `${level + up}/${y}_${x}`;
      const texture = this.tiles.get(name);
      if (!texture) continue;
      this.tiles.delete(name);
      this.tiles.set(name, texture);
      const side = this.scene.tileSize * scale;
      return { texture, corner: [x * side - left, y * side - top], scale };
    }
    return null;
  }

  load(names) {
    this.wanted = names.filter((name) => !this.loading.has(name) && !this.failed.has(name));
    while (this.wanted.length && this.loading.size < LOADED_AT_ONCE) {
      const name = this.wanted.shift();
      const script = document.createElement("script");
      script.src = `tiles/${name}.js`;
      script.onerror = () => this.lose(name);
      this.loading.set(name, script);
      document.head.append(script);
    }
  }

  lose(name) {
    this.end(name);
    this.failed.add(name);
    this.onlost?.();
  }

  end(name) {
    this.loading.get(name)?.remove();
    this.loading.delete(name);
  }

  async receive(name, codes) {
    try {
      const images = await Promise.all(codes.map((code) =>
        createImageBitmap(new Blob([bytesOfCharacters(code)], { type: "image/jpeg" }), { colorSpaceConversion: "none" })));
      this.tiles.set(name, this.upload(images));
      images.forEach((image) => image.close());
    } catch {
      return this.lose(name);
    }
    this.end(name);
    for (const [old, texture] of this.tiles) {
      if (this.tiles.size <= this.most) break;
      this.renderer.gl.deleteTexture(texture);
      this.tiles.delete(old);
    }
    this.onloaded?.();
  }

  // Puts grey images into the channels of a texture on the graphics card, which changes no value as a 2D canvas might.
  upload(images) {
    const { gl } = this.renderer, { width, height } = images[0];
    const texture = this.renderer.codes(width, height);
    gl.useProgram(this.program);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffer);
    gl.viewport(0, 0, width, height);
    gl.activeTexture(gl.TEXTURE3);
    images.forEach((image, code) => {
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, gl.RGB, gl.UNSIGNED_BYTE, image);
      gl.framebufferTextureLayer(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, texture, 0, code >> 2);
      gl.colorMask(...[0, 1, 2, 3].map((channel) => channel === (code & 3)));
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    });
    gl.colorMask(true, true, true, true);
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    return texture;
  }
}

// Ready once the smallest size is there.
function openSource(scene, renderer) {
  const pyramid = new Pyramid(scene, renderer);
  return new Promise((resolve, reject) => {
    pyramid.onloaded = () => resolve(pyramid);
    pyramid.onlost = () => reject(new Error("the folder tiles is not beside the page"));
    pyramid.load([`${scene.levels - 1}/0_0`]);
  });
}
