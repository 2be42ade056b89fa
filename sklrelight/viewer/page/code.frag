#version 300 es
// Copies a grey image to the channels that are written.
precision highp float;
uniform sampler2D image;
out vec4 code;
void main() {
  code = texelFetch(image, ivec2(gl_FragCoord.xy), 0).rrrr;
}
