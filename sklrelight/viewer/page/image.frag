#version 300 es
precision highp float;
precision highp int;
precision highp sampler2DArray;
// N_LAYERS is put in before the line below, when the page starts.
//DEFINITIONS
uniform sampler2DArray codes;        // of a piece of the image, four codes a layer
uniform vec3 piece;                  // its left and top on the canvas, and pixels of the canvas for each of its own
uniform int height;                  // of the canvas
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

// Between pixels of the piece, their codes are mixed.
vec3 encoded(vec2 at, int first) {
  vec2 size = vec2(textureSize(codes, 0).xy);
  vec3 sum = factors[first];
  for (int layer = 0; layer < N_LAYERS; layer++) {
    vec4 code = piece.z == 1.0 ? texelFetch(codes, ivec3(at, layer), 0) : texture(codes, vec3(at / size, layer));
    int k = first + 1 + 4 * layer;
    sum += code.r * factors[k] + code.g * factors[k + 1] + code.b * factors[k + 2] + code.a * factors[k + 3];
  }
  return max(sum, 0.0);
}

vec3 normalAt(vec2 at, float level) {
  return textureLod(normals, at / vec2(textureSize(codes, 0).xy), level).rgb * 2.0 - 1.0;
}

// As RTI viewers do, on encoded values: details of the normals exaggerated, a steeper fall from the light that the surface
// faces, and a highlight as of polished wax.
vec3 enhanced(vec3 color, vec2 at, vec3 light) {
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
  // Row 0 is at the top.
  vec2 pixel = vec2(gl_FragCoord.x, float(height) - gl_FragCoord.y);
  vec2 at = (pixel - piece.xy) / piece.z;
  bool beside = int(pixel.x) >= split;
  vec3 radiance = vec3(0.0);
  if (beside) {
    radiance = pow(texelFetch(photograph, ivec2(pixel), 0).rgb, vec3(gamma));
  } else {
    for (int light = 0; light < lights; light++) {
      vec3 color = encoded(at, light * (4 * N_LAYERS + 1));
      if (enhancement.xyz != vec3(0.0)) color = enhanced(color, at, directions[light]);
      radiance += colors[light] * pow(color, vec3(gamma));
    }
  }
  shown = vec4(clamp(pow(radiance * gain, vec3(1.0 / gamma)), 0.0, 1.0), 1.0);
  if (!beside) shown.rgb = mix(shown.rgb, normalAt(at, 0.0) * 0.5 + 0.5, enhancement.w);
}
