// Decoding of the numbers that the page holds as text.
function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// The same of characters of 15 bits each. At the end there may be some bits of 0 more.
function bytesOfCharacters(text) {
  const bytes = new Uint8Array(Math.floor(text.length * 15 / 8));
  let value = 0, bits = 0, at = 0;
  for (let i = 0; i < text.length; i++) {
    value = (value << 15) | (text.charCodeAt(i) - 0x3400);
    for (bits += 15; bits >= 8;) bytes[at++] = (value >> (bits -= 8)) & 255;
    value &= (1 << bits) - 1;
  }
  return bytes;
}

function floatsOf(base64) {
  // Little-endian, as all machines with a browser are.
  return new Float32Array(bytesOf(base64).buffer);
}
