// Draws the image, and a photograph beside it, by WebGL2.
class Renderer {
  constructor(canvas, scene, codes, shaders) {
    this.canvas = canvas;
    this.scene = scene;
    this.codes = codes;
    this.shaders = shaders;
    canvas.width = scene.width;
    canvas.height = scene.height;
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
    const { gl, codes, scene } = this;
    const limits = [gl.MAX_TEXTURE_SIZE, gl.MAX_ARRAY_TEXTURE_LAYERS].map((limit) => gl.getParameter(limit));
    if (Math.max(scene.width, scene.height) > limits[0] || codes.layers > limits[1]) throw new Error("too large");
    const program = gl.createProgram();
    const sources = [[gl.VERTEX_SHADER, this.shaders.vertex], [gl.FRAGMENT_SHADER,
      this.shaders.fragment.replace("//DEFINITIONS", `#define N_LAYERS ${codes.layers}`)]];
    for (const [type, source] of sources) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(shader));
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.place = (name) => gl.getUniformLocation(program, name);
    gl.uniform1i(this.place("codes"), 0);
    gl.uniform1i(this.place("photograph"), 1);
    gl.uniform1i(this.place("normals"), 2);
    gl.uniform1f(this.place("gamma"), scene.gamma);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    this.texture(0, gl.TEXTURE_2D_ARRAY);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.RGBA8, scene.width, scene.height, codes.layers);
    gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, scene.width, scene.height, codes.layers, gl.RGBA, gl.UNSIGNED_BYTE, codes.texels);
    this.texture(1, gl.TEXTURE_2D);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 1, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, new Uint8Array(3));
    this.texture(2, gl.TEXTURE_2D);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 1, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, new Uint8Array(3));
  }

  texture(unit, target) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(target, gl.createTexture());
    gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
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

  // lights: [{factors, color, direction}]; split: column from which the photograph is shown; enhancement: see image.frag.
  draw(lights, exposure, split, enhancement) {
    const { gl, codes, scene } = this;
    const width = 3 * (4 * codes.layers + 1);
    const factors = new Float32Array(2 * width), colors = new Float32Array(6), directions = new Float32Array(6);
    lights.forEach((light, i) => {
      factors.set(light.factors, i * width);
      colors.set(light.color, 3 * i);
      directions.set(light.direction, 3 * i);
    });
    gl.viewport(0, 0, scene.width, scene.height);
    gl.uniform3fv(this.place("factors"), factors);
    gl.uniform3fv(this.place("colors"), colors);
    gl.uniform3fv(this.place("directions"), directions);
    gl.uniform4fv(this.place("enhancement"), enhancement);
    gl.uniform1i(this.place("lights"), lights.length);
    gl.uniform1f(this.place("gain"), 2 ** exposure);
    gl.uniform1i(this.place("split"), split);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}
