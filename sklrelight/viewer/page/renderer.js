// Draws pieces of the image, and a photograph beside it, by WebGL2.
class Renderer {
  constructor(canvas, scene) {
    this.canvas = canvas;
    this.scene = scene;
    this.gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false, preserveDrawingBuffer: true });
    if (!this.gl) throw new Error("no WebGL2");
    this.photograph = this.normals = null;
    this.prepare();
    // A device may discard the textures while it sleeps.
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.prepare();
      if (this.photograph) this.setPhotograph(this.photograph);
      if (this.normals) this.setNormals(this.normals);
      this.onrestored?.();
    });
  }

  prepare() {
    const { gl, scene } = this;
    this.program = this.compile(scene.shaders.fragment.replace("//DEFINITIONS", `#define N_LAYERS ${scene.layers}`));
    gl.useProgram(this.program);
    const places = new Map();
    this.place = (name) => {
      if (!places.has(name)) places.set(name, gl.getUniformLocation(this.program, name));
      return places.get(name);
    };
    gl.uniform1i(this.place("codes"), 0);
    gl.uniform1i(this.place("photograph"), 1);
    gl.uniform1i(this.place("normals"), 2);
    gl.uniform1f(this.place("gamma"), scene.gamma);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    for (const unit of [1, 2]) {
      this.texture(unit, gl.TEXTURE_2D);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 1, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, new Uint8Array(3));
    }
  }

  compile(fragment) {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, this.scene.shaders.vertex], [gl.FRAGMENT_SHADER, fragment]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(shader));
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(program));
    return program;
  }

  texture(unit, target, filter = this.gl.NEAREST) {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(target, texture);
    gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, filter);
    gl.texParameteri(target, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(target, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
    return texture;
  }

  // An empty texture for the codes of so many pixels, four codes a layer. It stays bound.
  codes(width, height) {
    const { gl } = this, { layers } = this.scene;
    const limits = [gl.MAX_TEXTURE_SIZE, gl.MAX_ARRAY_TEXTURE_LAYERS].map((limit) => gl.getParameter(limit));
    if (Math.max(width, height) > limits[0] || layers > limits[1]) throw new Error("too large");
    const texture = this.texture(0, gl.TEXTURE_2D_ARRAY, gl.LINEAR);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RGBA8, width, height, layers);
    return texture;
  }

  setPhotograph(image) {
    const { gl } = this;
    this.photograph = image;
    gl.activeTexture(gl.TEXTURE1);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, gl.RGB, gl.UNSIGNED_BYTE, image);
  }

  setNormals(image) {
    const { gl } = this;
    this.normals = image;
    gl.activeTexture(gl.TEXTURE2);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, gl.RGB, gl.UNSIGNED_BYTE, image);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
    gl.generateMipmap(gl.TEXTURE_2D);
  }

  // shown: {width, height, pieces}, see whole.js; lights: [{factors, color, direction}]; split: column of the canvas from
  // which the photograph is shown; enhancement: see image.frag.
  draw(shown, lights, exposure, split, enhancement) {
    const { gl, canvas } = this;
    const width = 3 * (4 * this.scene.layers + 1);
    const factors = new Float32Array(2 * width), colors = new Float32Array(6), directions = new Float32Array(6);
    lights.forEach((light, i) => {
      factors.set(light.factors, i * width);
      colors.set(light.color, 3 * i);
      directions.set(light.direction, 3 * i);
    });
    if (canvas.width !== shown.width) canvas.width = shown.width;
    if (canvas.height !== shown.height) canvas.height = shown.height;
    gl.useProgram(this.program);
    gl.viewport(0, 0, shown.width, shown.height);
    gl.uniform3fv(this.place("factors"), factors);
    gl.uniform3fv(this.place("colors"), colors);
    gl.uniform3fv(this.place("directions"), directions);
    gl.uniform4fv(this.place("enhancement"), enhancement);
    gl.uniform1i(this.place("lights"), lights.length);
    gl.uniform1f(this.place("gain"), 2 ** exposure);
    gl.uniform1i(this.place("split"), split);
    gl.uniform1i(this.place("height"), shown.height);
    gl.enable(gl.SCISSOR_TEST);
    gl.activeTexture(gl.TEXTURE0);
    for (const { texture, box: [left, top, right, bottom], corner, scale } of shown.pieces) {
      gl.bindTexture(gl.TEXTURE_2D_ARRAY, texture);
      gl.scissor(left, shown.height - bottom, right - left, bottom - top);
      gl.uniform3f(this.place("piece"), ...corner, scale);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }
    gl.disable(gl.SCISSOR_TEST);
  }
}
