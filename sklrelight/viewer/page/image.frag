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
uniform sampler2D normals;           // (n + 1) / 2, with blurred copies
uniform vec3 directions[2];          // to the lights, unit vectors
uniform vec4 enhancement;            // strengths of diffuse gain, specular, unsharp normals, and the map of normals
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

vec3 normalAt(ivec2 at, float level) {
  return textureLod(normals, (vec2(at) + 0.5) / vec2(textureSize(codes, 0).xy), level).rgb * 2.0 - 1.0;
}

// As RTI viewers do, on encoded values: details of the normals exaggerated, a steeper fall from the light that the surface
// faces, and a highlight as of polished wax.
vec3 enhanced(vec3 color, ivec2 at, vec3 light) {
  vec3 plain = normalAt(at, 0.0);
  // Outside of the mask, where no normal is known.
  if (length(plain) < 0.5) return color;
  plain = normalize(plain);
  vec3 normal = normalize(plain + enhancement.z * (plain - normalAt(at, 3.0)));
  float cosine = max(dot(normal, light), 0.0);
  color *= (0.3 + cosine) / (0.3 + max(dot(plain, light), 0.0));
  color *= max(1.0 - enhancement.x * (1.0 - cosine), 0.0);
  float highlight = pow(max(dot(normal, normalize(light + vec3(0.0, 0.0, 1.0))), 0.0), 75.0);
  return mix(color, 0.4 * color + 0.7 * highlight, enhancement.y);
}

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  // Row 0 is at the top.
  at.y = textureSize(codes, 0).y - 1 - at.y;
  vec3 radiance = vec3(0.0);
  if (at.x >= split) {
    radiance = pow(texelFetch(photograph, at, 0).rgb, vec3(gamma));
  } else {
    for (int light = 0; light < lights; light++) {
      vec3 color = encoded(at, light * (4 * N_LAYERS + 1));
      if (enhancement.xyz != vec3(0.0)) color = enhanced(color, at, directions[light]);
      radiance += colors[light] * pow(color, vec3(gamma));
    }
  }
  shown = vec4(clamp(pow(radiance * gain, vec3(1.0 / gamma)), 0.0, 1.0), 1.0);
  if (at.x < split) shown.rgb = mix(shown.rgb, normalAt(at, 0.0) * 0.5 + 0.5, enhancement.w);
}
