// A magnifying glass under the pointer.

const SIZE = 180, TIMES = 4;

/** Shows the surroundings of a pixel of `picture`, a canvas, at a place of the pane. */
export function showLoupe(canvas, picture, view, x, y) {
  const [column, row] = view.toFrame(x, y);
  const inside = column >= 0 && row >= 0 && column < picture.width && row < picture.height;
  canvas.hidden = !inside;
  if (!inside) return;
  Object.assign(canvas, { width: SIZE, height: SIZE });
  const part = SIZE / (TIMES * Math.max(1, view.scale)), context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, column - part / 2, row - part / 2, part, part, 0, 0, SIZE, SIZE);
  canvas.style.transform = `translate(${x - SIZE / 2}px, ${y - SIZE / 2}px)`;
}
