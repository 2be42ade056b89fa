// What the view offers beside zoom: the whole screen, a scale bar, the image as a file, and an address that keeps the view.

function toggleFullScreen(element) {
  const done = document.fullscreenElement ? document.exitFullscreen() : element.requestFullscreen();
  done.catch(() => {});
}

// The longest bar of a round length that is at most so many CSS pixels wide, where a CSS pixel has so many millimetres.
function scaleBar(millimetres, most) {
  const longest = millimetres * most, power = 10 ** Math.floor(Math.log10(longest));
  const length = power * [5, 2, 1].find((factor) => factor * power <= longest);
  const [unit, size] = [["m", 1000], ["cm", 10], ["mm", 1], ["\u00b5m", 0.001]].find(([, size]) => length >= size * 0.999)
    ?? ["\u00b5m", 0.001];
  return { width: length / millimetres, label: `${Number((length / size).toPrecision(1))}\u202f${unit}` };
}

// Saves what is seen of the image as a PNG, with the pixels of the screen.
function saveSeen(view, title, bar) {
  const [x, y, right, bottom] = [0, 1].map((i) => Math.max(0, view.corner[i])).concat(
    [0, 1].map((i) => Math.min(view.box[i], view.corner[i] + view.turnedSize[i] * view.scale)));
  const sheet = document.createElement("canvas"), ratio = devicePixelRatio;
  sheet.width = Math.max(1, Math.round((right - x) * ratio));
  sheet.height = Math.max(1, Math.round((bottom - y) * ratio));
  const context = sheet.getContext("2d");
  const place = new DOMMatrix().scale(ratio).translate(-x, -y);
  context.imageSmoothingQuality = "high";
  context.setTransform(place.multiply(new DOMMatrix(view.canvas.style.transform)));
  context.drawImage(view.canvas, 0, 0);
  if (bar && bar.width < right - x - 40) {
    context.setTransform(new DOMMatrix().scale(ratio));
    const [left, low] = [right - x - bar.width - 16, bottom - y - 20];
    context.font = "14px system-ui, sans-serif";
    context.textAlign = "center";
    context.lineJoin = "round";
    for (const [color, edge] of [["#000", 4], ["#fff", 0]]) {
      context.fillStyle = context.strokeStyle = color;
      context.lineWidth = edge;
      context.fillRect(left - edge / 2, low - edge / 2, bar.width + edge, 4 + edge);
      if (edge) context.strokeText(bar.label, left + bar.width / 2, low - 6);
      else context.fillText(bar.label, left + bar.width / 2, low - 6);
    }
  }
  sheet.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${title.trim().slice(0, 80) || "image"}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }, "image/png");
}

// The view in the address: "#light=-0.4,0.4&zoom=2&at=0.5,0.5&turn=0".
function readAddress() {
  const found = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const numbers = (text, count) => {
    const values = (text ?? "").split(",").map(Number);
    return text && values.length === count && values.every(Number.isFinite) ? values : null;
  };
  return {
    light: numbers(found.light, 2), zoom: numbers(found.zoom, 1)?.[0], at: numbers(found.at, 2), turn: numbers(found.turn, 1)?.[0],
  };
}

function writeAddress(point, view) {
  const words = (values) => values.map((value) => String(Number(value.toFixed(4)))).join(",");
  const hash = `#light=${words(point)}&zoom=${words([view.zoom])}&at=${words(view.center)}&turn=${view.turn}`;
  try {
    if (hash !== location.hash) history.replaceState(null, "", hash);
  } catch {
    // A frame of a notebook has no address of its own.
  }
}
