// The image as a whole, whose codes are in the page itself.
async function openSource(scene, renderer) {
  const { width, height, layers } = scene;
  const texels = await readCodes(byId("codes").textContent, scene);
  byId("codes").remove();
  let texture;
  const source = {
    complete: true,
    // Puts the codes on the graphics card, again if it has lost them.
    restore() {
      const { gl } = renderer;
      texture = renderer.codes(width, height);
      gl.texSubImage3D(gl.TEXTURE_2D_ARRAY, 0, 0, 0, 0, width, height, layers, gl.RGBA, gl.UNSIGNED_BYTE, texels);
    },
    // What the canvas shows: its place in the image, in its own pixels, each of which has `step` of the image along a side.
    // A piece has its box on the canvas, the corner of its texture, and pixels of the canvas for each of the texture.
    show() {
      const piece = { texture, box: [0, 0, width, height], corner: [0, 0], scale: 1 };
      return { left: 0, top: 0, width, height, step: 1, pieces: [piece] };
    },
  };
  source.restore();
  return source;
}

// A compressed plane for each code. In some planes a pixel is stored as its difference to the one on its left.
async function readCodes(base64, scene) {
  const packed = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(packed).arrayBuffer());
  const { width, height, layers, differences } = scene;
  const texels = new Uint8Array(4 * width * height * layers);
  let from = 0;
  for (let code = 0; code < differences.length; code++) {
    let to = 4 * width * height * (code >> 2) + (code & 3);
    for (let row = 0; row < height; row++) {
      let value = 0;
      for (let column = 0; column < width; column++, to += 4) {
        value = differences[code] ? (value + planes[from++]) & 255 : planes[from++];
        texels[to] = value;
      }
    }
  }
  return texels;
}
