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
