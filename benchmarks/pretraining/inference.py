"""The mixture in NumPy: photographs are encoded once, then any light is predicted."""

import numpy as np
from matrices import BENT, GAMMAS, N_CANDIDATES, Matrices
from sizes import HEADS, KEY, LARGEST, N_BINS, N_LOBES, NEIGHBOURS, STEPS, VALUE
from weights import read_weights

# Pixels at a time, whose features stay in the cache.
_BLOCK = 2048


def _bend(x):
    return x * np.abs(x), np.sign(x) * np.sqrt(np.abs(x))


def _unbend(squared, rooted):
    return np.sign(squared) * np.sqrt(np.abs(squared)), rooted * np.abs(rooted)


def _halves(lights):
    halves = lights + np.array([0, 0, 1], np.float32)
    return halves / np.maximum(np.linalg.norm(halves, axis=-1, keepdims=True), 1e-6)


def _unit(vectors, least):
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), least)


def _box_mean(images, reach=2):
    def sums(values, axis):
        length = values.shape[axis]
        total = values.cumsum(axis, dtype=np.float32)
        high = np.minimum(np.arange(length) + reach, length - 1)
        low = np.arange(length) - reach - 1
        shape = [1] * values.ndim
        shape[axis] = -1
        return total.take(high, axis) - total.take(np.maximum(low, 0), axis) * (low >= 0).reshape(shape)

    counts = sums(sums(np.ones((1, *images.shape[1:3], 1), np.float32), 1), 2)
    return sums(sums(images, 1), 2) / counts


def _fit_shading(lights, values, iterations=5):
    n = len(lights)
    ordered = np.sort(values, 0)
    high, middle = ordered[int(0.8 * (n - 1))], ordered[int(0.5 * (n - 1))]
    weights = ((values <= high * np.float32(1.001)) & (values > np.float32(0.2) * high)).astype(np.float32) + 1e-3
    products = (lights[:, :, None] * lights[:, None, :]).reshape(n, 9)
    ridge = 1e-3 * np.eye(3, dtype=np.float32)
    for _ in range(iterations):
        matrix = (weights.T @ products).reshape(-1, 3, 3)
        matrix = matrix + ridge * (1e-3 + np.trace(matrix, axis1=1, axis2=2)[:, None, None])
        vectors = np.linalg.solve(matrix, ((weights * values).T @ lights)[..., None])[..., 0]
        shading = lights @ vectors.T
        spread = 0.08 * middle + 0.05 * high + 1e-5
        weights = 1 / (1 + ((values - np.maximum(shading, 0)) / spread) ** 2) * ((shading > 0) + np.float32(1e-3))
    return vectors, weights


def _integrate(normals):
    z = np.maximum(normals[..., 2], 0.15)
    right, down = np.clip(-normals[..., 0] / z, -4, 4), np.clip(normals[..., 1] / z, -4, 4)
    right = np.concatenate([right, -right[:, ::-1]], 1)
    right = np.concatenate([right, right[::-1]], 0)
    down = np.concatenate([down, down[:, ::-1]], 1)
    down = np.concatenate([down, -down[::-1]], 0)
    rows, columns = right.shape
    u = 2 * np.pi * np.fft.rfftfreq(columns)[None]
    v = 2 * np.pi * np.fft.fftfreq(rows)[:, None]
    squares = u**2 + v**2
    squares[0, 0] = 1
    spectrum = -1j * (u * np.fft.rfft2(right) + v * np.fft.rfft2(down)) / squares
    return np.fft.irfft2(spectrum, s=(rows, columns))[: rows // 2, : columns // 2].astype(np.float32)


class _Shading:
    """What `tasks.Shading` computes, in NumPy."""

    def __init__(self, lights, encoded, shape):
        best = None
        for gamma in GAMMAS:
            grey = (np.maximum(encoded[:, ::5], 0) ** np.float32(gamma)).mean(-1)
            vectors, weights = _fit_shading(lights, grey, 3)
            mean = (weights * grey).sum(0) / weights.sum(0)
            error, spread = grey - np.maximum(lights @ vectors.T, 0), grey - mean
            # The lower median, as torch has it.
            score = np.sort((weights * error**2).sum(0) / ((weights * spread**2).sum(0) + 1e-12))
            score = score[(len(score) - 1) // 2]
            if best is None or score < best[0]:
                best = (score, gamma)
        self.gamma = best[1]
        values = np.maximum(encoded, 0) ** np.float32(self.gamma)
        grey = values.mean(-1)
        vectors, weights = _fit_shading(lights, grey)
        self.normals = _unit(vectors, 1e-9)
        cosines = np.maximum(lights @ self.normals.T, 0)
        base = (weights * cosines**2).sum(0)[:, None] + 1e-4
        self.albedo = np.einsum("np,npc->pc", weights * cosines, values) / base
        halves = _halves(lights)
        relative = grey / np.maximum(grey.max(0), 1e-9)
        self.highlights = _unit((relative**3).T @ halves, 1e-9)
        shaded = self.albedo.mean(-1) * cosines
        self.misfit = (weights * (grey - shaded) ** 2).sum(0) / ((weights * grey**2).sum(0) + 1e-12)
        excess = values - self.albedo * cosines[..., None]
        grey_excess = excess.mean(-1)
        lit = ((cosines > 0.05) & (grey_excess > -0.4 * shaded - 1e-6)).astype(np.float32)
        self._fit_lobes(halves, grey_excess, excess, lit)
        self.heights = _integrate(self.normals.reshape(*shape, 3))
        self.shape = shape

    def _bins(self, halves):
        angles = np.minimum(np.rad2deg(np.arccos(np.clip(halves @ self.normals.T, -1, 1))), 89.9)
        return np.clip((angles / 90) ** np.float32(1 / 1.5) * (N_BINS - 1), 0, N_BINS - 1.001).astype(np.float32)

    def _shapes(self, position):
        lower = position.astype(np.int32)
        return self.lobes[lower] + (position - lower)[..., None] * (self.lobes[lower + 1] - self.lobes[lower])

    def _fit_lobes(self, halves, grey, excess, lit):
        position = self._bins(halves)
        flat = np.rint(position).astype(np.int64).reshape(-1)
        centres = np.linspace(0.08, 0.75, N_LOBES, dtype=np.float32)[:, None]
        grid = np.arange(N_BINS, dtype=np.float32)[None] / (N_BINS - 1)
        self.lobes = np.ascontiguousarray(np.exp(-0.5 * (grid / centres) ** 2).T)
        size = (np.maximum(grey, 0) * lit).sum() / max(lit.sum(), 1)
        ridge = 0.7 * np.eye(N_LOBES, dtype=np.float32)
        mean = np.full((1, N_LOBES), size, np.float32)
        for turn in range(4):
            shapes = self._shapes(position)
            weighted = shapes * lit[..., None]
            products = np.einsum("npi,npj->pij", weighted, shapes)
            right = np.einsum("npi,np->pi", weighted, grey) + mean @ ridge
            shares = np.maximum(np.linalg.solve(products + ridge, right[..., None])[..., 0], 0)
            mean = shares.mean(0, keepdims=True)
            if turn == 3:
                break
            wide = np.broadcast_to(shares, (len(halves), *shares.shape)).reshape(-1, N_LOBES)
            masked = wide * lit.reshape(-1, 1)
            gram = np.empty((N_BINS, N_LOBES, N_LOBES))
            sums = np.empty((N_BINS, N_LOBES))
            for i in range(N_LOBES):
                sums[:, i] = np.bincount(flat, masked[:, i] * grey.reshape(-1), N_BINS)
                for j in range(N_LOBES):
                    gram[:, i, j] = np.bincount(flat, masked[:, i] * wide[:, j], N_BINS)
            level = np.trace(gram, axis1=1, axis2=2).mean() + 1e-9
            right = (sums + 1e-2 * level * self.lobes)[..., None]
            lobes = np.linalg.solve(gram + 1e-2 * level * np.eye(N_LOBES), right)[..., 0]
            lobes = np.maximum(lobes, 0).astype(np.float32)
            peak = np.maximum(lobes.max(0), 1e-9)
            self.lobes, mean = lobes / peak, mean * peak
        fitted = (shapes * shares).sum(-1)
        own = np.maximum(np.einsum("np,npc->pc", fitted * lit, excess), 0)
        own = own + 0.1 * own.mean(-1, keepdims=True) + 1e-9
        self.colour = own / own.mean(-1, keepdims=True)
        self.shares = shares

    def __call__(self, light):
        """Shade all pixels under one light; shape (pixels, 3)."""
        cosines = np.maximum(self.normals @ light, 0)
        position = self._bins(_halves(light[None]))[0]
        lower = position.astype(np.int32)
        share = position - lower
        highlight = 0.0
        for lobe in range(N_LOBES):
            column = self.lobes[:, lobe]
            step = np.diff(column, append=column[-1])
            highlight = highlight + (column[lower] + share * step[lower]) * self.shares[:, lobe]
        highlight = highlight * (cosines > 0)
        radiance = self.albedo * cosines[:, None] + highlight[:, None] * self.colour
        return np.maximum(radiance, 0) ** np.float32(1 / self.gamma)

    def _shift(self, image, ahead, step):
        height, width = self.shape
        rows = np.clip(np.rint(np.arange(height, dtype=np.float32) - step * ahead[1]), 0, height - 1).astype(int)
        columns = np.clip(np.rint(np.arange(width, dtype=np.float32) + step * ahead[0]), 0, width - 1).astype(int)
        return image[rows].take(columns, 1)

    def clearance(self, light):
        """Compute how far a light stands above the horizon, as a difference of slopes from -2 to 2."""
        flat = max(np.linalg.norm(light[:2]), 0.02)
        ahead, climb = light[:2] / flat, min(light[2] / flat, 20)
        steepest = np.full(self.shape, climb - 2, np.float32)
        for step in STEPS:
            slopes = (self._shift(self.heights, ahead, step) - self.heights) * np.float32(1 / step)
            steepest = np.maximum(steepest, slopes)
        return np.clip(climb - steepest, -2, 2).reshape(-1).astype(np.float32)

    def along(self, image, light):
        """Values of an image at the neighbours along a light."""
        ahead = light[:2] / max(np.linalg.norm(light[:2]), 0.02)
        return [self._shift(image.reshape(self.shape), ahead, step).reshape(-1) for step in NEIGHBOURS]


def _angles(vectors, light):
    return [vectors @ light, np.sqrt(np.maximum(2 - 2 * (vectors @ _halves(light[None])[0]), 1e-6))]


def _clip(x):
    return np.clip(x, -LARGEST, LARGEST, out=x)


class Inference:
    """The mixture without torch, in the domain in which photographs are encoded.

    Parameters
    ----------
    path : Path
        What `weights.save_weights` wrote.
    """

    def __init__(self, path):
        self.options, self.w = read_weights(path)

    def _linear(self, name, x):
        """Apply a layer to features in rows."""
        out = self.w[f"{name}.weight"] @ x
        out += self.w[f"{name}.bias"][:, None]
        return out

    def _two(self, name, x, last=False):
        hidden = self._linear(f"{name}.0", x)
        hidden = self._linear(f"{name}.2", np.maximum(hidden, 0, out=hidden))
        return np.maximum(hidden, 0, out=hidden) if last else hidden

    def fit(self, lights, images):
        """Encode encoded photographs of shape (n, height, width, 3) under lights of shape (n, 3)."""
        lights = (lights / np.linalg.norm(lights, axis=1, keepdims=True)).astype(np.float32)
        n, *shape = images.shape[:3]
        self.shape, self.lights = tuple(shape), lights
        self.matrices = Matrices(lights)
        known = images.reshape(n, -1, 3).astype(np.float32)
        local = _box_mean(images.astype(np.float32)).reshape(known.shape)
        self.shading = shading = _Shading(lights, known, self.shape)
        shaded = np.stack([shading(light) for light in lights])
        grey = shaded.mean(-1)
        self.quotients = np.clip(known.mean(-1) / (grey + 0.15 * known.mean((0, 2)) + 1e-4), 0, 2)

        # Pixels last.
        y, s = (np.ascontiguousarray(values.transpose(0, 2, 1)) for values in (known, shaded))
        self.low, self.high = float(y.min()), float(y.max())
        self.power = power = float(np.square(y).mean())
        squared, rooted = _bend(y)
        self.given = np.stack([y, squared, rooted])
        self.shaded = s
        residuals, physical, loo = self._leave_out(y, s, squared, rooted)
        self.all_loo = loo.mean(1)
        self.scale = np.sqrt(np.square(y).mean((0, 1))) + np.float32(0.02 * power**0.5)
        contrast = (local - known).mean(-1)
        local_residuals = (self.matrices.residuals[1] @ local.reshape(n, -1)).reshape(local.shape).mean(-1)
        self.contrast = contrast
        self.around = np.square(residuals[1].mean(1))
        summary = self._encode(y, residuals, physical, local_residuals)
        spread = np.linalg.norm(lights[:, None] - lights, axis=-1)
        np.fill_diagonal(spread, np.inf)
        self.spacing = max(float(np.sort(spread.min(1))[(n - 1) // 2]), 0.02)
        self._weigh(loo, summary)
        return self

    def _leave_out(self, y, s, squared, rooted):
        """Leave-one-out errors of the kernels and of the physical candidate, and mean squares of all."""
        matrices, n = self.matrices.residuals, len(y)

        def apply(matrix, values):
            return (matrix @ values.reshape(n, -1)).reshape(values.shape)

        residuals = [apply(matrix, y) for matrix in matrices]
        eye = np.eye(n, dtype=np.float32)
        squares, roots = [], []
        for j in BENT:
            pair = _unbend(*(apply(eye - matrices[j], values) for values in (squared, rooted)))
            squares.append(y - pair[0])
            roots.append(y - pair[1])
        physical = apply(matrices[1], y - s)
        errors = [*residuals, *squares, *roots, physical]
        return residuals, physical, np.stack([np.square(error).mean((0, 1)) for error in errors])

    def _encode(self, y, residuals, physical, local_residuals):
        """Encode each photograph at each pixel; return the mean and the maximum of what is embedded."""
        n, lights, scale, shading, s = len(y), self.lights, self.scale, self.shading, self.shaded
        ones = np.ones_like(scale)
        self.code = np.empty((n, KEY + VALUE, len(scale)), np.float32)
        mean, peak = 0.0, 0.0
        for i in range(n):
            light = lights[i]
            bright = y[i].mean(0)
            tokens = [*(y[i] / scale), *(residuals[1][i] / scale), residuals[0][i].mean(0) / scale]
            tokens += [local_residuals[i] / scale, self.contrast[i] / scale]
            tokens += [np.log(np.maximum(bright, 0) / scale + 0.05), light[2] * ones]
            tokens += [shading.clearance(light), self.quotients[i], *shading.along(self.quotients[i], light)]
            tokens += [*_angles(shading.normals, light), *_angles(shading.highlights, light)]
            errors = physical[i] / scale
            tokens += [*errors, errors.mean(0) ** 2, (s[i] / scale).mean(0), light[2] ** 2 * ones]
            embedded = self._two("embed", _clip(np.stack(tokens).astype(np.float32)), last=True)
            self.code[i] = self._linear("keyvalue", embedded)
            mean, peak = mean + embedded, np.maximum(peak, embedded)
        return mean / n, peak

    def _weigh(self, loo, summary):
        """Compute the code of each pixel, and the logarithms of its candidates' weights."""
        scale, power, shading, ones = self.scale, self.power, self.shading, np.ones_like(self.scale)
        relative = 0.5 * np.log(loo / scale**2 + 1e-5)
        every = 0.5 * np.log(self.all_loo / power + 1e-6)
        features = [
            *(relative / 2),
            np.log(scale / power**0.5),
            *(every[:, None] / 2 * ones),
            np.log(len(self.lights)) / 2 * ones,
        ]
        features += [np.sqrt(shading.misfit), shading.normals[:, 2], shading.highlights[:, 2]]
        features = _clip(np.stack(features).astype(np.float32))
        static = self._two("static", np.concatenate([*summary, features]))
        self.static, prior = static[:-N_CANDIDATES], static[-N_CANDIDATES:]
        level = loo.mean(0)
        own = 0.5 * np.log(loo + 0.1 * level + 1e-5 * power) - 0.5 * np.log(level + 1e-5 * power)
        every = 0.5 * np.log(self.all_loo / self.all_loo.min() + 1e-4)[:, None]
        temperature = self.w["temperature"]
        logit = -temperature[0] * own - temperature[1] * every
        self.prior = (prior + np.concatenate([logit, logit[-1:]])).astype(np.float32)
        self.unit = np.minimum(np.sqrt(loo[1]) + np.float32(0.02) * scale, scale).astype(np.float32)

    def predict(self, lights):
        """Predict encoded photographs of shape (m, height, width, 3)."""
        lights = (lights / np.linalg.norm(lights, axis=1, keepdims=True)).astype(np.float32)
        return np.stack([self._predict(light) for light in lights])

    def _geometry(self, light, weights):
        """Codes of a light and of its nearest photographs."""
        distances = np.linalg.norm(self.lights - light, axis=1)
        index = np.argsort(distances, kind="stable")[: self.options["k"]]
        along = light[:2] / max(np.linalg.norm(light[:2]), 1e-6)
        offset, near = self.lights[index] - light, distances[index]
        pairs = np.stack(
            [
                offset[:, :2] @ along / self.spacing,
                offset[:, :2] @ np.array([-along[1], along[0]]) / self.spacing,
                offset[:, 2] / self.spacing,
                near / self.spacing,
                near,
                weights[1, index] * 2,
            ]
        )
        pairs = self._two("pair", _clip(pairs.astype(np.float32))).T.reshape(-1, HEADS, KEY + 1)
        scalars = [light[2], near[0] / self.spacing, np.sqrt(np.square(weights[1]).sum())]
        scalars += [min(np.sqrt(np.square(weights[0]).sum()), 3), np.log(self.spacing), np.log(len(self.lights)) / 2]
        return index, pairs, self._two("light", np.array(scalars, np.float32)[:, None])

    def _predict(self, light):
        weights = self.matrices.weights(light[None])[:, 0]
        index, pairs, code = self._geometry(light, weights)
        multiply, add = np.split(code, 2)
        shading = self.shading
        shaded = np.ascontiguousarray(shading(light).T)
        quotient = weights[1] @ self.quotients
        whole = np.stack([shading.clearance(light), quotient, *shading.along(quotient, light)])
        whole = np.concatenate([whole, _angles(shading.normals, light), _angles(shading.highlights, light)])
        n_pixels = len(self.scale)
        result = np.empty((3, n_pixels), np.float32)
        for start in range(0, n_pixels, _BLOCK):
            block = slice(start, start + _BLOCK)
            result[:, block] = self._block(block, weights, index, pairs, multiply, add, shaded, whole)
        return np.clip(result, self.low, self.high).T.reshape(*self.shape, 3)

    def _block(self, block, weights, index, pairs, multiply, add, shaded, whole):
        given = self.given[..., block]
        n, scale = len(self.lights), self.scale[block]
        size = len(scale)
        flat = np.ascontiguousarray(given).reshape(3, n, -1)
        mixed = np.empty((N_CANDIDATES, 3, size), np.float32)
        mixed[:5] = (weights @ flat[0]).reshape(5, 3, size)
        bent = weights[list(BENT)]
        mixed[5:8], mixed[8:11] = _unbend(*((bent @ x).reshape(3, 3, size) for x in flat[1:]))
        of_shading = (weights[1] @ self.shaded[..., block].reshape(n, -1)).reshape(3, size)
        mixed[-1] = shaded[:, block]
        mixed[-2] = mixed[-1] + mixed[1] - of_shading
        reference = mixed[1]
        grey = mixed.mean(1)
        inverse = 1 / scale
        q = np.empty((self.w["first.weight"].shape[1], size), np.float32)
        q[:3] = reference
        q[3:9] = grey[[0, 2, 3, N_CANDIDATES - 7, N_CANDIDATES - 4, 4]] - grey[1]
        q[9] = np.sqrt(self.around[index[:4], block].mean(0))
        q[10] = weights[1] @ self.contrast[:, block]
        q[11:13] = grey[-2:] - grey[1]
        q[13] = grey[-1]
        q[:14] *= inverse
        q[14:23] = whole[:, block]
        codes = self.code[index, :, block]
        scores = pairs[..., :-1] @ codes[:, :KEY]
        scores += pairs[..., -1:]
        scores -= scores.max(0)
        attention = np.exp(scores, out=scores)
        attention /= attention.sum(0)
        values = codes[:, KEY:].reshape(len(index), HEADS, -1, size)
        pooled = attention[0][:, None] * values[0]
        for a, v in zip(attention[1:], values[1:], strict=True):
            pooled += a[:, None] * v
        deviations = given[0][index[0]][None] * attention[0][:, None]
        for a, i in zip(attention[1:], index[1:], strict=True):
            deviations += given[0][i] * a[:, None]
        deviations -= reference
        q[23 : 23 + VALUE] = pooled.reshape(VALUE, size)
        q[23 + VALUE :] = (deviations * inverse).reshape(-1, size)
        hidden = self._linear("first", _clip(q))
        hidden += self.static[:, block] * (1 + multiply)
        hidden += add
        hidden = self._linear("second", np.maximum(hidden, 0, out=hidden))
        out = self._linear("head", np.maximum(hidden, 0, out=hidden))
        shares = self.prior[:, block] + 2 * out[:N_CANDIDATES]
        shares -= shares.max(0)
        np.exp(shares, out=shares)
        shares /= shares.sum(0)
        result = np.einsum("jp,jcp->cp", shares, mixed)
        result += out[N_CANDIDATES : N_CANDIDATES + 3] * self.unit[block]
        result += np.einsum("hp,hcp->cp", out[N_CANDIDATES + 3 :], deviations)
        return result
