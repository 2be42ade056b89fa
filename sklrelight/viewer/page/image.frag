#version 300 es
precision highp float;
precision highp int;
precision highp sampler2DArray;
// N_LAYERS is put in before the line below, when the page starts.
//DEFINITIONS
uniform sampler2DArray codes;        // four codes a layer
uniform sampler2D photograph;
uniform vec3 factors[2 * (4 * N_LAYERS + 1)];  // for each light: the constant's, then each code's
uniform vec3 colors[2];
uniform int lights;
uniform float gain;                  // 2 ** exposure
uniform float gamma;
uniform int split;                   // column from which the photograph is shown
out vec4 shown;

vec3 encoded(ivec2 at, int first) {
  vec3 sum = factors[first];
  for (int layer = 0; layer < N_LAYERS; layer++) {
    vec4 code = texelFetch(codes, ivec3(at, layer), 0);
    int k = first + 1 + 4 * layer;
    sum += code.r * factors[k] + code.g * factors[k + 1] + code.b * factors[k + 2] + code.a * factors[k + 3];
  }
  return max(sum, 0.0);
}

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  // Row 0 is at the top.
  at.y = textureSize(codes, 0).y - 1 - at.y;
  vec3 radiance = vec3(0.0);
  if (at.x >= split) {
    radiance = pow(texelFetch(photograph, at, 0).rgb, vec3(gamma));
  } else {
    for (int light = 0; light < lights; light++)
      radiance += colors[light] * pow(encoded(at, light * (4 * N_LAYERS + 1)), vec3(gamma));
  }
  shown = vec4(clamp(pow(radiance * gain, vec3(1.0 / gamma)), 0.0, 1.0), 1.0);
}
