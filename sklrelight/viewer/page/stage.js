// Pointers and the wheel on the image: one pointer moves the light or the image, two zoom.
function handleStage(canvas, view, { isPanning, moveLight }) {
  const pointers = new Map();
  let panning = false;

  const spread = () => {
    const [a, b] = [...pointers.values()];
    return { length: Math.hypot(a.x - b.x, a.y - b.y), clientX: (a.x + b.x) / 2, clientY: (a.y + b.y) / 2 };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    // The middle button would otherwise scroll the page.
    if (event.button === 1) event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    panning = isPanning() || event.button === 1;
    if (pointers.size === 1 && !panning) moveLight(event);
  });

  canvas.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const before = pointers.size === 2 ? spread() : null;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (before) {
      const after = spread();
      view.moveBy(after.clientX - before.clientX, after.clientY - before.clientY);
      view.zoomBy(after.length / (before.length || 1), after);
    } else if (pointers.size > 2) {
      return;
    } else if (panning) {
      view.moveBy(event.clientX - last.x, event.clientY - last.y);
    } else {
      moveLight(event);
    }
  });

  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, (event) => {
      pointers.delete(event.pointerId);
      // The finger that is lifted last after a pinch must not move the light.
      panning = pointers.size > 0;
    });
  }

  canvas.parentElement.addEventListener("wheel", (event) => {
    // An image that is not zoomed in lets the page scroll on.
    if (view.zoom === 1 && event.deltaY > 0) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    view.zoomBy(Math.exp(-0.002 * lines * event.deltaY), event);
  }, { passive: false });
}
