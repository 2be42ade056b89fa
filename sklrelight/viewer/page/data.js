// Decoding of the numbers that the page holds as text.
function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function floatsOf(base64) {
  // Little-endian, as all machines with a browser are.
  return new Float32Array(bytesOf(base64).buffer);
}

// A compressed plane for each code. In some planes a pixel is stored as its difference to the one on its left.
async function readCodes(base64, scene) {
  const packed = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(packed).arrayBuffer());
  const { width, height, differences } = scene;
  const layers = Math.ceil(differences.length / 4);
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
  return { texels, layers };
}
